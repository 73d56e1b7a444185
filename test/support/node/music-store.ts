/** A music store like the well-known sample database, re-created by hand: eleven tables with foreign keys, and a few hundred rows. */

const SCHEMA = [
  "CREATE TABLE [Artist] ([ArtistId] INTEGER NOT NULL, [Name] NVARCHAR(120), CONSTRAINT [PK_Artist] PRIMARY KEY ([ArtistId]))",
  `CREATE TABLE [Album] (
    [AlbumId] INTEGER NOT NULL, [Title] NVARCHAR(160) NOT NULL, [ArtistId] INTEGER NOT NULL,
    CONSTRAINT [PK_Album] PRIMARY KEY ([AlbumId]),
    FOREIGN KEY ([ArtistId]) REFERENCES [Artist] ([ArtistId]) ON DELETE NO ACTION ON UPDATE NO ACTION
  )`,
  "CREATE TABLE Genre (GenreId INTEGER PRIMARY KEY AUTOINCREMENT, Name NVARCHAR(120) NOT NULL UNIQUE COLLATE NOCASE)",
  "CREATE TABLE MediaType (MediaTypeId INTEGER PRIMARY KEY, Name TEXT DEFAULT 'MPEG audio file') STRICT",
  `CREATE TABLE Track (
    TrackId INTEGER PRIMARY KEY, Name NVARCHAR(200) NOT NULL, AlbumId INTEGER REFERENCES Album, MediaTypeId INTEGER NOT NULL REFERENCES MediaType,
    GenreId INTEGER REFERENCES Genre ON DELETE SET NULL, Composer NVARCHAR(220), Milliseconds INTEGER NOT NULL CHECK (Milliseconds > 0),
    Bytes INTEGER, UnitPrice NUMERIC(10,2) NOT NULL DEFAULT 0.99, Seconds REAL AS (Milliseconds / 1000.0)
  )`,
  "CREATE TABLE Playlist (PlaylistId INTEGER PRIMARY KEY, Name NVARCHAR(120))",
  `CREATE TABLE PlaylistTrack (
    PlaylistId INTEGER NOT NULL REFERENCES Playlist ON DELETE CASCADE, TrackId INTEGER NOT NULL REFERENCES Track ON DELETE CASCADE,
    PRIMARY KEY (PlaylistId, TrackId)
  ) WITHOUT ROWID`,
  `CREATE TABLE Employee (
    EmployeeId INTEGER PRIMARY KEY, LastName NVARCHAR(20) NOT NULL, FirstName NVARCHAR(20) NOT NULL, Title NVARCHAR(30),
    ReportsTo INTEGER REFERENCES Employee(EmployeeId) DEFERRABLE INITIALLY DEFERRED, HireDate DATETIME, Photo BLOB
  )`,
  `CREATE TABLE Customer (
    CustomerId INTEGER PRIMARY KEY, FirstName NVARCHAR(40) NOT NULL, LastName NVARCHAR(20) NOT NULL, Email NVARCHAR(60) NOT NULL,
    Address NVARCHAR(70), SupportRepId INTEGER REFERENCES Employee
  )`,
  `CREATE TABLE Invoice (
    InvoiceId INTEGER PRIMARY KEY, CustomerId INTEGER NOT NULL REFERENCES Customer, InvoiceDate DATETIME NOT NULL,
    BillingCountry NVARCHAR(40), Total NUMERIC(10,2) NOT NULL DEFAULT 0
  )`,
  `CREATE TABLE InvoiceLine (
    InvoiceLineId INTEGER PRIMARY KEY, InvoiceId INTEGER NOT NULL REFERENCES Invoice ON DELETE CASCADE, TrackId INTEGER NOT NULL REFERENCES Track,
    UnitPrice NUMERIC(10,2) NOT NULL, Quantity INTEGER NOT NULL
  )`,
  "CREATE INDEX [IFK_AlbumArtistId] ON [Album] ([ArtistId])",
  "CREATE INDEX IFK_InvoiceLineTrackId ON InvoiceLine (TrackId, Quantity DESC)",
  "CREATE UNIQUE INDEX CustomerEmail ON Customer (lower(Email)) WHERE Email <> ''",
  `CREATE VIEW "Sales by country" AS
    SELECT BillingCountry, count(*) AS Invoices, round(sum(Total), 2) AS Total FROM Invoice GROUP BY 1 -- the best first
    ORDER BY 3 DESC`,
  `CREATE TRIGGER AddToTotal AFTER INSERT ON InvoiceLine BEGIN
    UPDATE Invoice SET Total = Total + new.UnitPrice * new.Quantity WHERE InvoiceId = new.InvoiceId;
  END`,
  "CREATE VIRTUAL TABLE TrackSearch USING fts5(Name, Composer, content='Track', content_rowid='TrackId')",
];

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
/** Rows of a table, from an expression for each number from 1. */
const rows = (table: string, count: number, row: (n: number) => readonly (string | number)[]): string =>
  `INSERT INTO ${table} VALUES ${Array.from({ length: count }, (_, at) => `(${row(at + 1).join(", ")})`).join(", ")}`;
const pick = (words: readonly string[], n: number): string => words[n % words.length] ?? "";

const ARTISTS = ["AC/DC", "Antônio Carlos Jobim", "Guns N' Roses", "Motörhead", "Mônica Marianno", 'The "Who"', "坂本龍一", "Sigur Rós"];
const WORDS = ["Rock", "Samba; Bossa", "(Live)", "Intro -- Outro", "Água", "Night", "don't", "Love /* remix */", "№ 5", "Ænima"];
const GENRES = ["Rock", "Jazz", "Metal", "Alternative & Punk", "Latin", "R&B/Soul", "Bossa Nova", "Sci Fi & Fantasy"];
const COUNTRIES = ["USA", "Canada", "France", "Brazil", "Germany", "Czech Republic", "Côte d'Ivoire"];
const LAST = ["Adams", "Edwards", "Peacock", "O'Reilly", "Köhler", "Gonçalves", "Wójcik"];

const ROWS = [
  rows("Artist", 40, (n) => [n, n === 40 ? "NULL" : text(`${pick(ARTISTS, n)} ${n}`)]),
  rows("Album", 60, (n) => [n, text(`${pick(WORDS, n)} ${pick(WORDS, n * 7)}`), (n % 40) + 1]),
  rows("Genre", GENRES.length, (n) => [n, text(pick(GENRES, n))]),
  "INSERT INTO Genre(Name) VALUES ('Removed')",
  "DELETE FROM Genre WHERE Name = 'Removed'",
  rows("MediaType", 5, (n) => [n, text(`${pick(["MPEG", "AAC", "Purchased AAC"], n)} audio file`)]),
  rows("Track(TrackId, Name, AlbumId, MediaTypeId, GenreId, Composer, Milliseconds, Bytes, UnitPrice)", 350, (n) => [
    n * 3,
    text(`${pick(WORDS, n)} ${pick(WORDS, n * 3)}\n`.slice(0, n % 50 === 0 ? undefined : -1)),
    n % 90 === 0 ? "NULL" : (n % 60) + 1,
    (n % 5) + 1,
    (n % 8) + 1,
    n % 3 === 0 ? "NULL" : text(pick(ARTISTS, n * 5)),
    100_000 + n * 7_919,
    n % 100 === 0 ? "9007199254740993" : n * 123_457,
    n % 10 === 0 ? "1.99" : "0.99",
  ]),
  rows("Playlist", 8, (n) => [n, text(pick(["Music", "90’s Music", "On-The-Go 1", ""], n))]),
  rows("PlaylistTrack", 200, (n) => [(n % 8) + 1, (((n * 11) % 350) + 1) * 3]),
  rows("Employee", 8, (n) => [
    n,
    text(pick(LAST, n)),
    text(`E${n}`),
    "NULL",
    n === 1 ? "NULL" : Math.floor(n / 2),
    `'200${n}-08-14 00:00:00'`,
    n % 2 === 0 ? "X'89504E470D0A1A0A'" : "NULL",
  ]),
  rows("Customer", 59, (n) => [n, text(`C${n}`), text(pick(LAST, n)), text(`c${n}@Example.com`), text(`${n}, Rua\r\nNova`), (n % 8) + 1]),
  rows("Invoice", 120, (n) => [n, (n % 59) + 1, `'2031-0${(n % 9) + 1}-01 00:00:00'`, text(pick(COUNTRIES, n)), 0]),
  rows("InvoiceLine", 400, (n) => [n, (n % 120) + 1, ((n % 350) + 1) * 3, n % 10 === 0 ? "1.99" : "0.99", (n % 3) + 1]),
  "INSERT INTO TrackSearch(TrackSearch) VALUES ('rebuild')",
];

export const MUSIC_STORE: readonly string[] = [...SCHEMA, ...ROWS];

/** Words from which books and people are made. Adding to a list changes every generated book: tests elsewhere may know them. */
const worded = (text: string): readonly string[] => text.trim().split(/\s+/);
const listed = (text: string): readonly string[] => text.trim().split(/,\s+/);

/** One hundred each: an author's place in the pool is two digits of first name and two of last name. */
export const FIRST_NAMES = worded(`
  Ada Adrian Agnes Alan Albert Alice Amara Amelia Anders Anita Anton Arthur Astrid Aurora Beatrice Benjamin Bianca Boris
  Camille Carlos Cecilia Chloe Clara Conrad Daniel Daphne Deborah Dmitri Edith Edwin Elena Elias Emil Esther Eugene Fatima
  Felix Fiona Florence Francis Gabriel Gemma Georgia Gideon Greta Gustav Hannah Harriet Hector Helena Hiroshi Hugo Ibrahim
  Ingrid Irene Isaac Isabel Ivan Jasper Joan Jonas Judith Julian Kenji Kirsten Laila Lars Laura Leonard Lydia Magnus
  Malcolm Marcus Margot Marta Matilda Maurice Mei Miriam Nadia Naomi Nathan Nina Olga Oscar Paloma Patrick Petra Quentin
  Rafael Rosa Rupert Samira Simon Sofia Theodore Ursula Victor Wanda Yusuf
`);

export const LAST_NAMES = worded(`
  Abbott Achebe Adler Alvarez Andersson Ashworth Bakker Barlow Bellamy Bergman Blackwood Boateng Brandt Calloway
  Carmichael Castellano Chandra Clarke Conti Crawford Dalgaard Davenport Delacroix Devlin Dubois Eastwood Ekström
  Ellington Endo Fairbanks Ferreira Finch Fontaine Garrick Gibbons Goldberg Granger Hakimi Halloran Hartley Hawkins
  Hoffmann Holloway Ibarra Iversen Jansen Jarvis Kapoor Keller Kowalski Kruger Lachance Langford Larkin Lindqvist Lockhart
  Maddox Marchetti Mbeki Mendoza Merriweather Nakamura Novak Oakley Okafor Olsen Ortega Pemberton Petrov Quigley Rahman
  Ramsey Reinhardt Rosenthal Rutherford Salazar Schneider Sinclair Sorensen Stanhope Sutherland Tanaka Thackeray Thornton
  Trevelyan Ueda Underhill Valentine Vasquez Vogel Wakefield Weatherby Whitcombe Winslow Yamamoto Yates Zapata Zhang
  Zimmerman Ziegler
`);

export const ADJECTIVES = worded(`
  Amber Ancient Bitter Borrowed Broken Burning Careful Crimson Distant Electric Empty Endless Forgotten Fragile Frozen
  Gilded Golden Hidden Hollow Honest Invisible Iron Lasting Little Lonely Lost Midnight Narrow Northern Open Pale Patient
  Quiet Restless Second Secret Silent Silver Sleeping Slow Stolen Sudden Tender Unwritten Velvet Wandering Western White
  Wild Winter
`);

export const NOUNS = worded(`
  Archive Atlas Autumn Bridge Cartographer Cathedral City Clock Coast Compass Country Daughter Desert Door Echo Empire
  Equation Experiment Fire Forest Garden Glass Harbour Harvest History House Island Journey Kingdom Language Lantern
  Letter Library Light Machine Map Memory Mirror Moon Mountain Music Night Ocean Orchard Painter Paper Promise Question
  Rain River Road Salt Season Shadow Ship Shore Signal Sky Snow Song Sparrow Star Stone Storm Stranger Summer Theorem
  Thread Tide Tower Train Valley Village Voyage Wall Water Weather Wind Window Year
`);

export const SUBJECTS = listed(`
  Fiction, Science Fiction, Fantasy, Mystery, Romance, Thriller, Historical Fiction, Biography, History, Philosophy, Psychology,
  Religion, Physics, Mathematics, Biology, Chemistry, Computers, Engineering, Economics, Business, Politics, Cooking, Travel,
  Art, Music, Poetry, Juvenile Fiction, Education, Medicine, Law
`);

/** Invented houses, so that no real one is credited with a book that does not exist. */
export const PUBLISHERS = listed(`
  Alder & Finch, Anchor Point Press, Beacon Street Books, Blue Heron Publishing, Brightwater House, Candlewick Lane,
  Castle Rock University Press, Cedar Hill Editions, Copperfield & Sons, Driftwood Press, Eastgate Academic, Fernwood Books,
  Gannet House, Granite Peak Press, Halyard Books, Ironbridge Publishers, Juniper Press, Kestrel Editions,
  Lakeside University Press, Lighthouse Books, Meridian House, Northfield Academic, Oak Leaf Press, Paper Kite Books,
  Quarto Lane, Red Lantern Press, Saltmarsh Books, Thistledown Press, Umbra Editions, Westbrook University Press
`);

/** The provider's paths. Every request is admitted, and so billed, before its answer is made. */
import { Hono } from "hono";
import type { Context } from "hono";
import type { Account, Admission, Arriving } from "./account.ts";
import { KNOWN_NAMES, authorNamed } from "./authors.ts";
import { readBatch } from "./batch.ts";
import { bookBy, findBook } from "./catalogue.ts";
import { updatesPage } from "./feed.ts";
import { stemOf } from "./isbn.ts";
import { utcDay } from "./plan.ts";
import { criteriaOfParameters, criteriaOfPath, datesOf, readQuery } from "./query.ts";
import type { Query, Read } from "./query.ts";
import { invalid, notFound, pageOf } from "./results.ts";
import type { Result } from "./results.ts";
import { authorPage, search } from "./search.ts";
import type { Criteria } from "./search.ts";
import type { World } from "./settings.ts";
import { MAX_RESULTS } from "./shelf.ts";
import { delayMs, send } from "./wire.ts";

/** Longer path texts are refused. */
const MAX_PATH_CHARACTERS = 150;

/** The size of the provider's real catalogue, about. */
const STATS = { books: 43_512_801, authors: 13_930_264, publishers: 2_412_087, subjects: 1_210_455 } as const;

const known = (stem: number, world: World) => {
  const book = findBook(stem, world);
  return book === undefined ? [] : [book];
};

const findPage = (criteria: Read<Criteria>, query: Query, world: World): Result => {
  if (!criteria.ok) return invalid(criteria.message);
  const { total, stems } = search(criteria.value, world);
  const { author } = criteria.value;
  const page = pageOf(stems, query);
  // Asked for by author, a book names them also where its ISBN alone can't say who they are.
  const books =
    author === undefined ? page.flatMap((stem) => known(stem, world)) : page.map((stem) => bookBy(authorNamed(author, world).name, stem));
  return { kind: "found", total, books, page: query.page, pageSize: query.pageSize };
};

const authorResult = (asked: string, query: Query, { settings, now }: Admission): Result => {
  const author = authorNamed(asked, settings);
  if (author.total === 0) return notFound;
  const { total, stems } = authorPage(asked, datesOf(query, utcDay(now)), settings);
  const books = pageOf(stems, query).map((stem) => bookBy(author.name, stem));
  return { kind: "author", name: author.name, total, books, page: query.page, pageSize: query.pageSize };
};

const namesResult = (asked: string, { page, pageSize }: Query): Result => {
  const names = KNOWN_NAMES.filter((name) => name.toLowerCase().includes(asked.toLowerCase()));
  const authors = pageOf(names.slice(0, MAX_RESULTS), { page, pageSize });
  return { kind: "plain", body: { name: asked, authors, total: names.length, page, page_size: pageSize } };
};

const batchResult = (isbns: readonly string[], { settings }: Admission): Result => {
  if (isbns.length > settings.max_batch)
    return invalid(`isbns must name at most ${settings.max_batch} ISBNs on this plan, not ${isbns.length}`);
  const stems = new Set(isbns.flatMap((isbn) => stemOf(isbn) ?? []));
  return { kind: "bulk", requested: isbns.length, books: [...stems].flatMap((stem) => known(stem, settings)) };
};

export const providerRoutes = (account: Account, key: string): Hono => {
  const app = new Hono();

  const serve = async (
    c: Context,
    call: Omit<Arriving, "method" | "path">,
    granted: (admission: Admission) => Result,
  ): Promise<Response> => {
    const { pathname, search: query } = new URL(c.req.url);
    const admission = account.admit({ method: c.req.method, path: pathname + query, ...call });
    const delay = delayMs(admission);
    if (delay > 0) await scheduler.wait(delay);
    const response = send(admission, () => granted(admission));
    if (admission.fault?.kind !== "reset_connection") account.answered(admission.entry, response.status);
    return response;
  };

  /** A paged GET: one call, and the text of its path within bounds. */
  const paged = async (
    c: Context,
    endpoint: string,
    text: string,
    result: (query: Query, admission: Admission) => Result,
  ): Promise<Response> =>
    serve(c, { endpoint, price: "one" }, (admission) => {
      if (text.length > MAX_PATH_CHARACTERS)
        return invalid(`the path's text must be at most ${MAX_PATH_CHARACTERS} characters, not ${text.length}`);
      const query = readQuery(c.req.query());
      return query.ok ? result(query.value, admission) : invalid(query.message);
    });

  app.use(async (c, next) => {
    if (c.req.header("authorization") === key) return next();
    return serve(c, { endpoint: "unauthorized", price: "stranger" }, () => ({
      kind: "error",
      status: 401,
      message: "Full authentication is required to access this resource",
    }));
  });

  app.get("/book/:isbn", async (c) =>
    serve(c, { endpoint: "GET /book/{isbn}", price: "one" }, ({ settings }) => {
      const stem = stemOf(c.req.param("isbn"));
      const book = stem === undefined ? undefined : findBook(stem, settings);
      return book === undefined ? notFound : { kind: "book", book };
    }),
  );

  app.post("/books", async (c) => {
    const batch = await readBatch(c.req.raw);
    const endpoint = "POST /books";
    return batch.ok
      ? serve(c, { endpoint, price: "batch", isbns: batch.isbns }, (admission) => batchResult(batch.isbns, admission))
      : serve(c, { endpoint, price: "one" }, () => batch.refusal);
  });

  app.get("/books/:query", async (c) =>
    paged(c, "GET /books/{query}", c.req.param("query"), (query, { settings, now }) =>
      findPage(criteriaOfPath(c.req.param("query"), query, utcDay(now)), query, settings),
    ),
  );

  app.get("/search/books", async (c) =>
    paged(c, "GET /search/books", "", (query, { settings, now }) => findPage(criteriaOfParameters(query, utcDay(now)), query, settings)),
  );

  app.get("/author/:name", async (c) =>
    paged(c, "GET /author/{name}", c.req.param("name"), (query, admission) => authorResult(c.req.param("name"), query, admission)),
  );

  app.get("/authors/:query", async (c) =>
    paged(c, "GET /authors/{query}", c.req.param("query"), (query) => namesResult(c.req.param("query"), query)),
  );

  app.get("/stats", async (c) => serve(c, { endpoint: "GET /stats", price: "one" }, () => ({ kind: "plain", body: STATS })));

  app.get("/key", async (c) =>
    serve(c, { endpoint: "GET /key", price: "free" }, () => ({
      kind: "plain",
      body: { api_host: new URL(c.req.url).host, plan_limit: account.standing() },
    })),
  );

  app.get("/feeds/books/updates", async (c) =>
    serve(c, { endpoint: "GET /feeds/books/updates", price: "free" }, ({ settings, now }) => {
      const page = updatesPage(c.req.query(), settings, now);
      return page.ok ? { kind: "plain", body: page.value } : invalid(page.message);
    }),
  );

  app.all("*", async (c) => serve(c, { endpoint: "other", price: "one" }, () => notFound));

  return app;
};

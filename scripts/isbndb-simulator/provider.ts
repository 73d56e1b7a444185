/** Routes of the provider. Each request is billed before its response is created. */
import { Hono } from "hono";
import type { Context } from "hono";
import type { Account, Admission, ProviderRequest } from "./account.ts";
import { authorNamed, stemsOfAuthor } from "./authors.ts";
import { readBatch } from "./batch.ts";
import { bookBy, findBook } from "./catalog.ts";
import { stemOf } from "./isbn.ts";
import { utcDay } from "./plan.ts";
import { datesOf, readPaging, readReleasesQuery } from "./query.ts";
import type { Paging } from "./query.ts";
import { published } from "./releases.ts";
import { invalid, notFound, pageOf } from "./results.ts";
import type { Result } from "./results.ts";
import type { World } from "./settings.ts";
import { delayMs, send } from "./wire.ts";

/** Longest path parameter. */
const MAX_PATH_CHARACTERS = 150;

const findBooks = (stem: number, world: World) => {
  const book = findBook(stem, world);
  return book === undefined ? [] : [book];
};

const authorResult = (name: string, paging: Paging, world: World): Result => {
  const author = authorNamed(name, world);
  if (author.total === 0) return notFound;
  const books = pageOf(stemsOfAuthor(author), paging).map((stem) => bookBy(author.name, stem));
  return { kind: "author", name: author.name, total: author.total, books, ...paging };
};

const releasesResult = (parameters: Record<string, string>, { settings, now }: Admission): Result => {
  const query = readReleasesQuery(parameters);
  if (!query.ok) return invalid(query.message);
  const { page, pageSize, subject } = query.value;
  const { total, stems } = published(datesOf(query.value, utcDay(now)), subject, settings);
  const books = pageOf(stems, { page, pageSize }).flatMap((stem) => findBooks(stem, settings));
  return { kind: "found", total, books, page, pageSize };
};

const batchResult = (isbns: readonly string[], { settings }: Admission): Result => {
  if (isbns.length > settings.max_batch)
    return invalid(`isbns must name at most ${settings.max_batch} ISBNs on this plan, not ${isbns.length}`);
  const stems = new Set(isbns.flatMap((isbn) => stemOf(isbn) ?? []));
  return { kind: "bulk", requested: isbns.length, books: [...stems].flatMap((stem) => findBooks(stem, settings)) };
};

export const providerRoutes = (account: Account, key: string): Hono => {
  const app = new Hono();

  const serve = async (
    c: Context,
    call: Omit<ProviderRequest, "method" | "path">,
    granted: (admission: Admission) => Result,
  ): Promise<Response> => {
    const { pathname, search: query } = new URL(c.req.url);
    const admission = account.admit({ method: c.req.method, path: pathname + query, ...call });
    const delay = delayMs(admission);
    if (delay > 0) await scheduler.wait(delay);
    const response = send(admission, () => granted(admission));
    if (admission.fault?.kind !== "reset_connection") account.logStatus(admission.entry, response.status);
    return response;
  };

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

  app.get("/search/books", async (c) =>
    serve(c, { endpoint: "GET /search/books", price: "one" }, (admission) => releasesResult(c.req.query(), admission)),
  );

  app.get("/author/:name", async (c) =>
    serve(c, { endpoint: "GET /author/{name}", price: "one" }, ({ settings }) => {
      const name = c.req.param("name");
      if (name.length > MAX_PATH_CHARACTERS)
        return invalid(`the path's text must be at most ${MAX_PATH_CHARACTERS} characters, not ${name.length}`);
      const paging = readPaging(c.req.query());
      return paging.ok ? authorResult(name, paging.value, settings) : invalid(paging.message);
    }),
  );

  app.get("/key", async (c) =>
    serve(c, { endpoint: "GET /key", price: "free" }, () => ({
      kind: "plain",
      body: { api_host: new URL(c.req.url).host, plan_limit: account.usage() },
    })),
  );

  app.all("*", async (c) => serve(c, { endpoint: "other", price: "one" }, () => notFound));

  return app;
};

/** Checks the architecture from the source: layers, areas, cycles, and the one place of each technique. Type imports count too. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SOURCE = join(ROOT, "worker/src");

const RANKS: Record<string, number> = {
  lib: 0,
  errors: 1,
  env: 2,
  store: 3,
  telemetry: 3,
  quota: 4,
  providers: 4,
  jobs: 4,
  // A project's own database. A Durable Object like quota/, which knows neither D1 nor its neighbors.
  "tenant-database": 4,
  telegram: 4,
  // Clients of the services auth, realtime and storage.
  services: 4,
  // Sends webhooks. A client like isbndb/.
  webhooks: 4,
  deps: 5,
  library: 6,
  tenants: 6,
  monitoring: 6,
  http: 6,
  handlers: 7,
  routes: 7,
  middleware: 7,
  dashboard: 7,
  app: 8,
  cron: 8,
  "job-workflow": 8,
  index: 9,
};

/** Forbidden imports between the parts of ranks 3 and 4. */
const BLIND = new Set([
  "quota → store",
  "providers → store",
  "tenant-database → store",
  "tenant-database → telemetry",
  "telegram → store",
  "telegram → telemetry",
  "services → store",
  "services → telemetry",
  "webhooks → store",
  "webhooks → telemetry",
  "jobs → telemetry",
  "quota → telemetry",
  "providers → telemetry",
]);

/** Files that `npm start` builds, some of which remain after a kill. */
const BUILT = /\/\.wrangler\//u;

function filesIn(folder: string, extension = /\.tsx?$/u): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && extension.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !BUILT.test(file));
}

/** The top folder below worker/src, or the file's own name. */
function partOf(file: string): string {
  return (relative(SOURCE, file).split("/")[0] ?? "").replace(/\.tsx?$/u, "");
}

const IMPORT = /(?:import|export)\s[^;]*?from\s+"([^"]+)"|import\s+"([^"]+)"|import\("([^"]+)"\)/gu;

function importsOf(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

function localImportsOf(file: string): string[] {
  return importsOf(file)
    .filter((path) => path.startsWith("."))
    .map((path) => resolve(dirname(file), path));
}

const withoutComments = (code: string): string => code.replaceAll(/\/\*[\s\S]*?\*\//gu, "").replaceAll(/(^|\s)\/\/.*$/gmu, "");
const isCode = (path: string): boolean => /\.(ts|tsx|js)$/u.test(path) && existsSync(path);
const codeOf = (file: string): string => withoutComments(readFileSync(file, "utf8"));
const shown = (file: string): string => relative(ROOT, file);

const sources = filesIn(SOURCE);
const scripts = filesIn(join(ROOT, "scripts"), /\.(ts|tsx|js)$/u);
const tests = filesIn(join(ROOT, "test"));

/** Folder names within a layer. A feature has the same folder name in every layer. */
const AREAS = new Set(
  "projects keys limits billing suspension abuse webhooks backups provisioning jobs providers quota library monitoring".split(" "),
);
const LAYERS = ["worker/src/store", "worker/src/tenants", "worker/src/routes", "worker/src/dashboard", "test/tenants", "test/routes"];
/** Folders of page parts and browser code. */
const NO_AREAS = new Set(["worker/src/dashboard/browser", "worker/src/dashboard/charts"]);

describe("imports", () => {
  test("every file is in a part with a rank", () => {
    expect(sources.map(partOf).filter((part) => RANKS[part] === undefined)).toEqual([]);
  });

  test("point to a lower rank or into the same folder", () => {
    const wrong = sources.flatMap((file) =>
      localImportsOf(file).flatMap((target) => {
        const [from, to] = [partOf(file), partOf(target)];
        const arrow = `${from} → ${to}`;
        const down = (RANKS[to] ?? 0) < (RANKS[from] ?? 0) && !BLIND.has(arrow);
        return from === to || down ? [] : [`${shown(file)} imports ${shown(target)}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test("each folder of a layer is an area", () => {
    const folders = LAYERS.flatMap((layer) =>
      readdirSync(join(ROOT, layer), { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [`${layer}/${entry.name}`] : [])),
    );
    expect(folders.filter((folder) => !AREAS.has(basename(folder)) && !NO_AREAS.has(folder))).toEqual([]);
  });

  test("have no cycles, types included", () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const walk = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].map(shown).join(" → "));
      if (done.has(file) || path.includes(file)) return;
      for (const target of localImportsOf(file).filter(isCode)) walk(target, [...path, file]);
      done.add(file);
    };
    for (const file of [...sources, ...scripts, ...tests]) walk(file, []);
    expect(circles).toEqual([]);
  });

  test("scripts import nothing of the Worker", () => {
    expect(scripts.filter((file) => localImportsOf(file).some((target) => target.startsWith(join(ROOT, "worker")))).map(shown)).toEqual([]);
  });
});

describe("each technique in one place", () => {
  const HTTP_PARTS = new Set(["app", "http", "routes", "middleware", "dashboard"]);
  const ENTRIES = new Set(["app", "cron", "job-workflow", "index"]);
  const DURABLE_OBJECTS = /class \w+ extends DurableObject/u;

  test("only HTTP parts import Hono", () => {
    const foreign = sources.filter(
      (file) => !HTTP_PARTS.has(partOf(file)) && importsOf(file).some((path) => path === "hono" || /^(hono|@hono)\//u.test(path)),
    );
    expect(foreign.map(shown)).toEqual([]);
  });

  test("only store/ queries D1", () => {
    const foreign = sources.filter((file) => partOf(file) !== "store" && /\.prepare\(|\bdb\.(batch|exec)\(/u.test(codeOf(file)));
    expect(foreign.map(shown)).toEqual([]);
  });

  test("each external service is called by one client", () => {
    const foreign = sources.filter((file) => /(?<![.#\w])fetch\(|globalThis\.fetch/u.test(codeOf(file)));
    expect(foreign.map(shown).toSorted()).toEqual([
      "worker/src/providers/isbndb/client.ts",
      "worker/src/services/registration.ts",
      "worker/src/telegram/client.ts",
      "worker/src/telemetry/exporter.ts",
      "worker/src/webhooks/send.ts",
    ]);
  });

  test("two functions compare all secrets, in constant time", () => {
    const places = sources.filter((file) => /timingSafeEqual|subtle\.verify\(/u.test(codeOf(file)));
    // The first compares secrets of all kinds. The second verifies Grafana's signature with a function of the platform.
    expect(places.map(shown)).toEqual(["worker/src/lib/same-secret.ts", "worker/src/monitoring/signature.ts"]);
  });

  test("no value with a secret's name is compared with an operator", () => {
    const secret = String.raw`\b(?:\w+(?:\([^()]*\))?[?!]?\.)*\w*(?:token|secret|password|signature|pepper|apikey|hash|digest|hmac|\bmac)\b`;
    const nothing = String.raw`(?:null|undefined|""|"\w+"|-?\d+)`;
    const compared = new RegExp(`${secret}\\)?\\s*[!=]==(?!\\s*${nothing})|(?<!${nothing})\\s[!=]==\\s*${secret}`, "giu");
    // Hashes of rows and of a schema are public. The last one compares the Worker's own secret with its earlier value.
    const harmless = new Set(["worker/src/tenant-database/index.ts", "worker/src/lib/same-secret.ts"]);
    const found = sources.flatMap((file) =>
      codeOf(file)
        .split("\n")
        .filter((line) => line.match(compared) !== null)
        .map((line) => ({ file: shown(file), line: line.trim() })),
    );
    expect(found.filter(({ file }) => !harmless.has(file))).toEqual([]);
    expect([...new Set(found.map(({ file }) => file))].toSorted()).toEqual([...harmless].toSorted());
  });

  test("only telemetry/ imports OpenTelemetry", () => {
    const foreign = sources.filter(
      (file) => partOf(file) !== "telemetry" && importsOf(file).some((path) => path.startsWith("@opentelemetry/")),
    );
    expect(foreign.map(shown)).toEqual([]);
  });

  test("only entry points and Durable Objects read the clock", () => {
    const foreign = sources.filter((file) => {
      const code = codeOf(file);
      const readsClock = /Date\.now\b|new Date\(\)|performance\.now/u.test(code);
      return readsClock && !ENTRIES.has(partOf(file)) && !DURABLE_OBJECTS.test(code);
    });
    expect(foreign.map(shown)).toEqual([]);
  });

  test("log messages are constant, and everything variable is a field", () => {
    const foreign = sources.filter((file) => /\blog\.(?:info|warn|error)\(\s*`/u.test(codeOf(file)));
    expect(foreign.map(shown)).toEqual([]);
  });

  test("SQL never reads the database's clock", () => {
    const foreign = [...sources, ...filesIn(join(ROOT, "worker/migrations"), /\.sql$/u)].filter((file) =>
      /datetime\('now'|CURRENT_TIMESTAMP|unixepoch\(\)|julianday\('now'/iu.test(readFileSync(file, "utf8")),
    );
    expect(foreign.map(shown)).toEqual([]);
  });

  test("a Durable Object's helpers are #private, because TypeScript's private methods are callable over RPC", () => {
    const foreign = sources.filter((file) => DURABLE_OBJECTS.test(codeOf(file)) && /^\s+(private|protected)\s/mu.test(codeOf(file)));
    expect(foreign.map(shown)).toEqual([]);
  });

  test("each file of the product begins with a comment about its content", () => {
    expect([...sources, ...scripts].filter((file) => !readFileSync(file, "utf8").startsWith("/**")).map(shown)).toEqual([]);
  });
});

/**
 * A job may sleep through a deploy. The platform recognizes finished steps by their name and their number of occurrences. It would repeat a
 * renamed step and all later steps. Therefore a released name never changes, and no step is added before a released one. To change a job, add a
 * new job type.
 */
describe("steps of jobs", () => {
  /** Names of steps and sleeps, in the order of the source. */
  const NAMES =
    /(?:\.step|\.sleepUntil|\bcontinueAs|\bpart|\bundone|steps\.(?:do|sleep))\(\s*("[^"]+"|`[^`]+`)|\bstep(?:: \w+)? = ("\w+")/gu;
  const named = (file: string): string[] =>
    [...readFileSync(file, "utf8").matchAll(NAMES)].map(([, called, set]) => (called ?? set ?? "").replaceAll(/["`]/gu, ""));

  test("keep the names that were released", () => {
    const files = sources.filter((file) => /\/(handlers\/(?!context|index)|jobs\/job-run|job-workflow|services\/registration)/u.test(file));
    const services = /SERVICES = (\[.*?\])/u.exec(files.map(codeOf).join("\n"))?.[1];
    // Each is a step of provisioning and of its rollback.
    expect(services).toBe('["auth", "realtime", "storage"]');
    const names = files.map((file) => [partOf(file) === "handlers" ? basename(file, ".ts") : shown(file), named(file)]);
    expect(Object.fromEntries(names)).toEqual({
      "auto-suspend": ["decide"],
      "check-usage-limits": ["begin the next part", "page ${number}", "look for the projects"],
      "deliver-webhook": ["take", "try ${attempt}", "before try ${attempt + 1}"],
      "export-backup": [
        "begin",
        "give up",
        "tell operators",
        "restore into a scratch",
        "destroy the scratch",
        "write the manifest",
        "complete",
        // In an earlier release this step returned a list. The handler recognizes the list and rejects it.
        "compare",
        "compare",
        "throw away earlier parts",
        "dump",
        "dump",
        "dump",
        "thaw",
        "freeze",
        "wait for the database",
        "copy to Telegram",
        "pause for Telegram",
      ],
      harvest: ["run", "begin the next run"],
      housekeeping: ["wake", "relay", "signals", "abuse", "resume", "dispatch", "remove ${name}", "provider count", "catalog"],
      "provision-project": ["begin", "database", "key", "undo: write down why", "undo ${name}", "database", "project", "look again"],
      "reset-quotas": ["execute"],
      "restore-backup": [
        "record",
        "open",
        "tell operators",
        "is the project ready",
        "until look ${check + 1}",
        "begin",
        "load",
        "compare",
        "compare",
        "undo",
      ],
      "rotate-key": ["look for the key", "rotate", "end the grace", "grace"],
      "worker/src/jobs/job-run.ts": ["${name}: falling asleep", "record the end"],
      "worker/src/job-workflow.ts": ["delay"],
      "worker/src/services/registration.ts": [],
    });
  });
});

/** wrangler and Miniflare, loaded with `require`. For `import`, Node parses their 20 MB two more times, which takes most of a second. */
import { createRequire } from "node:module";
import "./offline.ts";
import type * as MiniflareModule from "miniflare";
import type * as WranglerModule from "wrangler";

const load = createRequire(import.meta.url);
export const wrangler = load("wrangler") as typeof WranglerModule;
export const miniflare = load("miniflare") as typeof MiniflareModule;

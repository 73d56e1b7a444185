/** `npm run reliability`: writes docs/reliability.md from what the fault matrix asserts. */
import { writeFileSync } from "node:fs";
import { page } from "../test/faults/page.ts";

writeFileSync(new URL("../docs/reliability.md", import.meta.url), page());

/** The harvest page. */
import { createRouter } from "../../http/index.ts";
import { harvestOverview } from "../../store/library/harvest.ts";
import { REFRESH_SECONDS, signedIn } from "../guard.ts";
import { sendPage } from "../page.tsx";
import { HarvestPage } from "./harvest.tsx";

const MAX_ROWS = 20;

export const libraryPages = createRouter();

libraryPages.get(
  "/harvest",
  signedIn(async (c, session) => {
    const deps = c.get("deps");
    const content = <HarvestPage overview={await harvestOverview(deps, MAX_ROWS, MAX_ROWS)} now={deps.clock()} />;
    return sendPage(c, { title: "Harvest", session, place: "/harvest", refresh: REFRESH_SECONDS }, content);
  }),
);

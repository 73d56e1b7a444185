import { describe, expect, it } from "vitest";
import { withSimulator } from "../../scripts/start/vars.ts";

const NOW = "http://127.0.0.1:9001";
const RUN = { ISBNDB_BASE_URL: NOW, SIMULATOR_CONTROL_URL: `${NOW}/_simulator` };

describe("the provider of a local run", () => {
  it("is this run's simulator where the file names an earlier run's", () => {
    const earlier = { ISBNDB_BASE_URL: "http://127.0.0.1:8788", SIMULATOR_CONTROL_URL: "http://127.0.0.1:8788/_simulator" };
    expect(withSimulator({ ADMIN_TOKEN: "t", ...earlier }, NOW)).toEqual({ ADMIN_TOKEN: "t", ...RUN });
  });

  it("is the simulator where the file names none", () => {
    expect(withSimulator({}, NOW)).toEqual(RUN);
  });

  it.each(["https://api.premium.isbndb.com", "http://127.0.0.1:7000", "nonsense"])("is %s where the user chose it", (chosen) => {
    expect(withSimulator({ ...RUN, ISBNDB_BASE_URL: chosen }, NOW)).toEqual({ ...RUN, ISBNDB_BASE_URL: chosen });
  });
});

import { describe, expect, test } from "vitest";
import { newSpanId, newTraceId, placeOf, readTraceparent, writeTraceparent } from "../../worker/src/telemetry/traceparent.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

describe("a traceparent", () => {
  test.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    [`00-${TRACE}-${SPAN}-03`, true],
    [`00-${TRACE}-${SPAN}-fe`, false],
    [` 00-${TRACE}-${SPAN}-01 `, true],
    [`cc-${TRACE}-${SPAN}-01`, true],
    [`cc-${TRACE}-${SPAN}-01-what-comes-later`, true],
  ])("%j is one", (header, sampled) => {
    expect(readTraceparent(header)).toEqual({ traceId: TRACE, spanId: SPAN, sampled });
  });

  test.each([
    null,
    undefined,
    "",
    "00",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE}0-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01\nx: y`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  ])("%j is none", (header) => {
    expect(readTraceparent(header)).toBeNull();
  });

  test.each([true, false])("is read as it was written, sampled %s", (sampled) => {
    const place = { traceId: newTraceId(), spanId: newSpanId(), sampled };
    expect(readTraceparent(writeTraceparent(place))).toEqual(place);
  });
});

describe("a place that follows from a name", () => {
  const parent = { traceId: TRACE, spanId: SPAN, sampled: false };

  test("is the same every time, in the parent's trace, and as sampled as it", async () => {
    const place = await placeOf("job-1", parent);
    expect(place).toEqual({ traceId: TRACE, spanId: expect.stringMatching(/^[\da-f]{16}$/u) as string, sampled: false });
    expect(await placeOf("job-1", parent)).toEqual(place);
  });

  test("differs from name to name", async () => {
    expect((await placeOf("job-1", parent)).spanId).not.toBe((await placeOf("job-2", parent)).spanId);
  });

  test("begins a new trace without a parent", async () => {
    const place = await placeOf("job-1", null);
    expect(readTraceparent(writeTraceparent(place))).toEqual(place);
    expect(place).toEqual(await placeOf("job-1", null));
    expect(place.sampled).toBe(true);
  });
});

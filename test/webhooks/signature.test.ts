import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { signingSecrets, webhookSecret } from "../../worker/src/webhooks/secret.ts";
import { signedHeaders } from "../../worker/src/webhooks/signature.ts";

const PEPPER = "a-pepper-of-some-length";
const ID = "wh_aaaaaaaaaaaaaaaaaaaa";

describe("a signature", () => {
  test("is the specification's own for its example", async () => {
    const message = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: '{"test": 2432232314}' };
    expect(await signedHeaders(message, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])).toEqual({
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    });
  });

  test("by two secrets is accepted with either of them only, and the newest is first", async () => {
    const [newest, before, other] = await Promise.all([2, 1, 3].map(async (version) => webhookSecret(PEPPER, ID, version)));
    const body = JSON.stringify({ type: "quota.warning", data: { name: "Bücher 📚" } });
    const headers = await signedHeaders({ id: "msg_1", timestamp: Math.floor(Date.now() / 1_000), body }, [newest ?? "", before ?? ""]);
    expect(new Webhook(newest ?? "").verify(body, headers)).toEqual(JSON.parse(body));
    expect(new Webhook(before ?? "").verify(body, headers)).toEqual(JSON.parse(body));
    expect(() => new Webhook(other ?? "").verify(body, headers)).toThrow("No matching signature found");
    const [first = ""] = String(headers["webhook-signature"]).split(" ");
    expect(new Webhook(newest ?? "").verify(body, { ...headers, "webhook-signature": first })).toEqual(JSON.parse(body));
  });
});

describe("a secret", () => {
  test("has 256 bits, is the same every time, and differs by endpoint, version and pepper", async () => {
    const all = await Promise.all([
      webhookSecret(PEPPER, ID, 1),
      webhookSecret(PEPPER, ID, 1),
      webhookSecret(PEPPER, ID, 2),
      webhookSecret(PEPPER, ID, 11),
      webhookSecret(PEPPER, "wh_bbbbbbbbbbbbbbbbbbbb", 1),
      webhookSecret("another-pepper-of-a-length", ID, 1),
    ]);
    expect(all[0]).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/u);
    expect(new Set(all).size).toBe(5);
  });

  test("signs until its grace period is over, and not a millisecond longer", async () => {
    const [newest, before] = [await webhookSecret(PEPPER, ID, 2), await webhookSecret(PEPPER, ID, 1)];
    const at = async (now: number) => signingSecrets(PEPPER, ID, { secret_version: 2, previous_until: 1_000 }, now);
    expect([await at(999), await at(1_000)]).toEqual([[newest, before], [newest]]);
    expect(await signingSecrets(PEPPER, ID, { secret_version: 2, previous_until: null }, 0)).toEqual([newest]);
  });
});

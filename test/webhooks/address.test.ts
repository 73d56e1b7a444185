import { describe, expect, test } from "vitest";
import { readAddress } from "../../worker/src/webhooks/address.ts";

const PUBLIC = { allowPrivate: false, ownHost: "coordinator.example.com" };
const LOCAL = { allowPrivate: true, ownHost: "127.0.0.1:8787" };

const refusedBecause = (text: string, rules = PUBLIC): string | null => {
  const read = readAddress(text, rules);
  return "refused" in read ? read.refused : null;
};

describe("a public address", () => {
  test.each([
    ["https://example.com/hooks?token=a%20b", "https://example.com/hooks?token=a%20b"],
    ["https://EXAMPLE.com:8443", "https://example.com:8443/"],
    ["https://example.com./hooks#part", "https://example.com./hooks"],
    ["https://bücher.example", "https://xn--bcher-kva.example/"],
    ["https://8.8.8.8/", "https://8.8.8.8/"],
    ["https://134744072/", "https://8.8.8.8/"],
    ["https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"],
    ["https://localhost.example.com/", "https://localhost.example.com/"],
    ["https://example.com:25/", "https://example.com:25/"],
  ])("%s is normalized to %s", (text, url) => {
    expect(readAddress(text, PUBLIC)).toEqual({ url });
  });
});

describe("a private address is refused in every notation", () => {
  test.each([
    ["loopback", "https://127.0.0.1/"],
    ["loopback with a trailing dot", "https://127.0.0.1./"],
    ["another loopback address", "https://127.255.0.9/"],
    ["in one number", "https://2130706433/"],
    ["in hexadecimal", "https://0x7f000001/"],
    ["in octal", "https://0177.0.0.1/"],
    ["in three parts", "https://127.0.1/"],
    ["in two", "https://127.1/"],
    ["in mixed parts", "https://0x7f.0.0.01/"],
    ["in full-width digits", "https://１２７.０.０.１/"],
    ["percent-encoded", "https://%31%32%37.0.0.1/"],
    ["the unspecified address", "https://0.0.0.0/"],
    ["10/8", "https://10.1.2.3/"],
    ["172.16/12", "https://172.31.255.255/"],
    ["192.168/16", "https://192.168.0.1/"],
    ["link-local: metadata of clouds", "https://169.254.169.254/latest/meta-data"],
    ["carriers' NAT", "https://100.64.0.1/"],
    ["benchmarks", "https://198.18.0.1/"],
    ["documentation", "https://203.0.113.7/"],
    ["multicast", "https://224.0.0.1/"],
    ["broadcast", "https://255.255.255.255/"],
    ["reserved", "https://240.0.0.1/"],
    ["reserved by the IETF", "https://192.0.0.8/"],
    ["IPv6 loopback", "https://[::1]/"],
    ["IPv6 loopback in full", "https://[0:0:0:0:0:0:0:1]/"],
    ["IPv6 unspecified", "https://[::]/"],
    ["mapped", "https://[::ffff:127.0.0.1]/"],
    ["mapped in hexadecimal", "https://[::ffff:7f00:1]/"],
    ["mapped, of a public address too", "https://[::ffff:8.8.8.8]/"],
    ["compatible, an obsolete form", "https://[::127.0.0.1]/"],
    ["compatible with 10/8", "https://[::a00:1]/"],
    ["translated", "https://[::ffff:0:127.0.0.1]/"],
    ["NAT64", "https://[64:ff9b::7f00:1]/"],
    ["NAT64 of a local network", "https://[64:ff9b:1::a00:1]/"],
    ["6to4", "https://[2002:7f00:1::]/"],
    ["Teredo", "https://[2001:0:7f00:1::1]/"],
    ["unique local", "https://[fd00::1]/"],
    ["link-local", "https://[fe80::1]/"],
    ["site-local", "https://[fec0::1]/"],
    ["IPv6 multicast", "https://[ff02::1]/"],
    ["IPv6 documentation", "https://[2001:db8::1]/"],
    ["a range that was never allocated", "https://[4000::1]/"],
    ["localhost", "https://localhost/"],
    ["LOCALHOST.", "https://LOCALHOST./"],
    ["below localhost", "https://api.localhost/"],
    ["with two dots at its end", "https://localhost../"],
    ["mDNS", "https://printer.local/"],
    ["internal names of a cloud", "https://metadata.google.internal/"],
    ["a router's names", "https://nas.home.arpa/"],
    ["a single label", "https://intranet/"],
    ["a single label with a dot", "https://intranet./"],
    ["Tor", "https://abc.onion/"],
    ["ourselves", "https://coordinator.example.com/api/quota/reset"],
    ["our own host with a dot", "https://Coordinator.Example.com./"],
    ["our own host at a different port", "https://coordinator.example.com:8443/"],
  ])("%s: %s", (_, text) => {
    expect(refusedBecause(text)).toMatch(/^must be a public address: /u);
  });

  test.each([
    ["http://example.com/", "must begin with https, not http"],
    ["ftp://example.com/", "must begin with https, not ftp"],
    ["javascript:alert(1)", "must begin with https, not javascript"],
    ["file:///etc/passwd", "must begin with https, not file"],
    ["https://user@example.com/", "must not contain a user name or password"],
    ["https://:secret@example.com/", "must not contain a user name or password"],
    ["example.com", "must be a URL of at most 2000 characters"],
    ["https://", "must be a URL of at most 2000 characters"],
    ["https://1.2.3.256/", "must be a URL of at most 2000 characters"],
    [`https://example.com/${"ü".repeat(400)}`, "must be a URL of at most 2000 characters"],
    [`https://example.com/${"a".repeat(1_981)}`, "must be a URL of at most 2000 characters"],
  ])("%s: %s", (text, why) => {
    expect(refusedBecause(text)).toBe(why);
  });

  test("one of exactly 2,000 characters is accepted", () => {
    expect(refusedBecause(`https://example.com/${"a".repeat(1_980)}`)).toBeNull();
  });
});

describe("on the local machine", () => {
  test.each(["http://127.0.0.1:9000/", "http://localhost:3000/hooks", "https://nas.local/", "http://[::1]:1/", "http://receiver/"])(
    "%s is allowed",
    (text) => {
      expect(refusedBecause(text, LOCAL)).toBeNull();
    },
  );

  test.each([
    ["http://127.0.0.1:8787/x", "must be a public address: this is the coordinator's own address"],
    ["ftp://127.0.0.1/", "must begin with https, not ftp"],
    ["http://user:pw@127.0.0.1:9000/", "must not contain a user name or password"],
  ])("%s is not: %s", (text, why) => {
    expect(refusedBecause(text, LOCAL)).toBe(why);
  });
});

/** R2, Durable Objects and outgoing requests. */
import { currentInvocation, operation } from "./invocation.ts";
import { platform } from "./platform.ts";
import { methodOf, replace } from "./replace.ts";

/** An object of a list, without checksums. Cloudflare does not document that a list has them. */
const withoutChecksums = (object: object): object =>
  new Proxy(object, {
    get(target, name) {
      if (name === "checksums") return { toJSON: () => ({}) };
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? methodOf(target, name) : member;
    },
  });

export function strictR2(bucket: object): void {
  for (const name of ["head", "get", "put", "delete", "createMultipartUpload"]) {
    replace(
      bucket,
      name,
      (original) =>
        async (...given) =>
          operation(`R2 ${name}`, async () => original(...given), { isConnection: true }),
    );
  }
  replace(bucket, "list", (list) => async (...given) => {
    if (currentInvocation() === undefined) return list(...given);
    const answer = (await operation("R2 list", async () => list(...given), { isConnection: true })) as { readonly objects: object[] };
    return { ...answer, objects: answer.objects.map(withoutChecksums) };
  });
}

/** A stub of an object that can still run the previous release, without its newer methods. Every call is a subrequest. */
function strictStub(stub: object, binding: string): object {
  return new Proxy(stub, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function" || typeof name !== "string") return member;
      const method = methodOf(target, name);
      return async (...given: unknown[]) =>
        operation(`${binding} ${name}`, async () => {
          const missing = platform.settings.missingMethods[binding] ?? [];
          if (missing.includes(name)) throw new TypeError(`The RPC receiver does not implement the method "${name}".`);
          return method(...given);
        });
    },
  });
}

export function strictObjects(namespace: object, binding: string): void {
  for (const name of ["get", "getByName"]) {
    // A test outside of an invocation needs the real stub, to look into the object.
    replace(namespace, name, (original) => (...given) => {
      const stub = original(...given) as object;
      return currentInvocation() === undefined ? stub : strictStub(stub, binding);
    });
  }
}

/** Outgoing requests of the product. */
export function strictFetch(): void {
  replace(
    globalThis,
    "fetch",
    (real) =>
      async (...given) =>
        operation(`fetch ${nameOf(given[0], given[1])}`, async () => real(...given), { isConnection: true }),
  );
}

function nameOf(input: unknown, init: unknown): string {
  if (input instanceof Request) return `${input.method} ${input.url}`;
  const { method = "GET" }: { method?: string } = typeof init === "object" && init !== null ? init : {};
  return `${method} ${String(input)}`;
}

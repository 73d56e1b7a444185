/** Replaces methods of bindings and classes in place, so that everything that holds the object uses the replacement. */

export type Method = (...given: unknown[]) => unknown;

/** A method of a binding, bound to it. */
export function methodOf(target: object, name: string | symbol): Method {
  const member: unknown = Reflect.get(target, name);
  if (typeof member !== "function") throw new Error(`Unknown method ${String(name)}.`);
  return (...given) => Reflect.apply(member, target, given) as unknown;
}

const set = (target: object, name: string, value: Method): void =>
  void Object.defineProperty(target, name, { value, configurable: true, writable: true });

/** Replaces a method of one object. `make` receives the bound original. */
export function replace(target: object, name: string, make: (original: Method) => Method): void {
  set(target, name, make(methodOf(target, name)));
}

/** Replaces a method of a class. `around` receives the instance and the bound original. */
export function replaceInClass(prototype: object, name: string, around: (original: Method, given: readonly unknown[]) => unknown): void {
  const member: unknown = Reflect.get(prototype, name);
  if (typeof member !== "function") throw new Error(`Unknown method ${name}.`);
  set(prototype, name, function replaced(this: unknown, ...given) {
    return around((...values) => Reflect.apply(member, this, values) as unknown, given);
  });
}

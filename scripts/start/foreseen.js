/** A problem that its sentence explains completely: it is shown without a stack, and the command ends with 1. */
export class Foreseen extends Error {
  /** @override */
  name = "Foreseen";
}

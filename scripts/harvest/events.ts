/** Events of a run. They are printed on a terminal, as plain lines or as JSON. `--help` describes the fields. No I/O. */
import type { QuotaStatus } from "./answers.ts";
import type { Checkpoint, Failure } from "./checkpoint.ts";
import type { Ending } from "./exit-codes.ts";
import type { Plan } from "./plan.ts";

/** `limited`: --max-pages reached. `truncated`: the provider returns no more pages. `unknown`: unknown to the provider. */
export type AuthorResult = "done" | "limited" | "truncated" | "unknown" | "failed";

export type HarvestEvent =
  | {
      readonly type: "start";
      readonly source: string;
      readonly authors: number;
      readonly settled: number;
      readonly base_url: string;
      readonly checkpoint: string;
      readonly resumed: boolean;
    }
  | { readonly type: "quota"; readonly quota: QuotaStatus }
  /** Only for the terminal. */
  | { readonly type: "request"; readonly author: string; readonly page: number | null }
  | {
      readonly type: "author";
      readonly author: string;
      readonly result: AuthorResult;
      readonly books: number;
      readonly pages: number;
      readonly calls: number;
      readonly settled: number;
      readonly total: number;
      readonly next_page?: number;
      readonly reason?: string;
    }
  | {
      readonly type: "pause";
      readonly author: string;
      readonly because: "pace" | "trouble";
      readonly seconds: number;
      readonly message: string;
    }
  | {
      readonly type: "exhausted";
      readonly next_author: string;
      readonly waiting: boolean;
      readonly message: string;
      readonly reset_at: string;
      readonly looks_every_seconds: number;
    }
  | { readonly type: "continued"; readonly next_author: string; readonly waited_seconds: number }
  | { readonly type: "warning"; readonly message: string }
  | ({ readonly type: "plan" } & Plan)
  | {
      readonly type: "end";
      readonly ending: Ending;
      readonly exit_code: number;
      readonly authors: number;
      readonly settled: number;
      readonly totals: Checkpoint["totals"];
      readonly failed: readonly Failure[];
      readonly checkpoint: string;
      readonly seconds: number;
      readonly message: string;
    }
  | { readonly type: "error"; readonly message: string };

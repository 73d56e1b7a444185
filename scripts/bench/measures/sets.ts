/** Work on many rows, beside a loop over them: the sweep and the monthly reset. */
import { inTurns, ratio, timed } from "../measure.ts";
import type { Bench, Measure, Outcome, Series } from "../measure.ts";
import { runJob, work } from "../product.ts";
import { summaryOf } from "../statistics.ts";

/** Small numbers measure the way through the queue. */
const TARGET_SIZE = 10_000;

/** The job as somebody sees it who asked for it: with its way through the queue. */
async function jobMs(bench: Bench, type: string): Promise<number> {
  return timed(async () => runJob(bench.workerd, type));
}

export const sweep: Measure = {
  name: "sweep",
  about: "the sweep of many projects, beside a loop of four queries a project",
  run: async (bench) => {
    const { workerd, scale } = bench;
    const outcomes: Outcome[] = [];
    const costs: number[] = [];
    for (const projects of scale.projects) {
      bench.tell(`sweep, ${projects.toLocaleString("en-US")} projects`);
      await work(workerd, "/seed/projects", projects);
      const ours = {
        name: "ours",
        run: async () => {
          await work(workerd, "/clear");
          return jobMs(bench, "check_usage_limits");
        },
      };
      const loop = {
        name: "four queries a project",
        run: async (round: number) => {
          await work(workerd, "/clear");
          return timed(async () => work(workerd, "/loop/sweep", projects, `loop-${round}`));
        },
      };
      const looped = projects <= scale.loopedProjects;
      const series = await inTurns(scale.rounds, "ms", looped ? [ours, loop] : [ours]);
      // The loop is the one that takes longer: how many times.
      const ratios = ratio(series, "four queries a project", "ours", projects === TARGET_SIZE ? { least: 50 } : undefined);
      costs.push(perProject(series, projects));
      outcomes.push({
        title: `sweep of ${projects.toLocaleString("en-US")} projects`,
        series,
        ratios: [...ratios, ...growth(costs, scale.projects)],
      });
    }
    return outcomes;
  },
};

const perProject = ([ours]: readonly Series[], projects: number): number => summaryOf(ours?.rounds ?? []).median / projects;

/** Time a project, by that of the size before: not more than 1 is linear or better. */
function growth(costs: readonly number[], sizes: readonly number[]) {
  const [before, now] = [costs.at(-2), costs.at(-1)];
  if (before === undefined || now === undefined) return [];
  const size = sizes[costs.length - 2]?.toLocaleString("en-US");
  return [{ of: "ours, time a project", to: `the same with ${size}`, rounds: [now / before], target: { most: 1.1 } }];
}

export const reset: Measure = {
  name: "reset",
  about: "the monthly reset of many organisations, beside a loop",
  run: async (bench) => {
    const { workerd, scale } = bench;
    const { organizations } = scale;
    const title = `monthly reset of ${organizations.toLocaleString("en-US")} organisations`;
    bench.tell(title);
    const prepared = async (run: () => Promise<unknown>): Promise<number> => {
      await work(workerd, "/clear");
      await work(workerd, "/seed/organizations", organizations);
      return timed(run);
    };
    const series = await inTurns(scale.rounds, "ms", [
      {
        name: "ours",
        run: async () =>
          prepared(async () => {
            const { rows_updated } = await runJob<{ rows_updated: number }>(workerd, "reset_quotas");
            if (rows_updated < organizations) throw new Error(`${rows_updated} periods were closed, not ${organizations}`);
          }),
      },
      { name: "a loop", run: async (round) => prepared(async () => work(workerd, "/loop/reset", organizations, `loop-${round}`)) },
    ]);
    return [{ title, series, ratios: ratio(series, "a loop", "ours", organizations === TARGET_SIZE ? { least: 50 } : undefined) }];
  },
};

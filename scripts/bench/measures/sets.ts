/** Compares the sweep and the monthly reset with loops over rows. */
import { inTurns, ratio, timed } from "../measure.ts";
import type { Bench, Measure, Outcome, Series } from "../measure.ts";
import { runJob, work } from "../product.ts";
import { summaryOf } from "../statistics.ts";

/** Smaller sizes mainly measure the job queue. */
const TARGET_SIZE = 10_000;

/** Duration of a job, including its time in the queue. */
async function jobMs(bench: Bench, type: string): Promise<number> {
  return timed(async () => runJob(bench.workerd, type));
}

export const sweep: Measure = {
  name: "sweep",
  about: "sweep of many projects, compared with four queries per project",
  run: async (bench) => {
    const { workerd, scale } = bench;
    const outcomes: Outcome[] = [];
    const costs: number[] = [];
    for (const projects of scale.projects) {
      bench.report(`sweep, ${projects.toLocaleString("en-US")} projects`);
      await work(workerd, "/seed/projects", projects);
      const ours = {
        name: "ours",
        run: async () => {
          await work(workerd, "/clear");
          return jobMs(bench, "check_usage_limits");
        },
      };
      const loop = {
        name: "four queries per project",
        run: async (round: number) => {
          await work(workerd, "/clear");
          return timed(async () => work(workerd, "/loop/sweep", projects, `loop-${round}`));
        },
      };
      const hasLoop = projects <= scale.loopedProjects;
      const series = await inTurns(scale.rounds, "ms", hasLoop ? [ours, loop] : [ours]);
      // The loop takes longer, so the ratio is above 1.
      const ratios = ratio(series, "four queries per project", "ours", projects === TARGET_SIZE ? { least: 50 } : undefined);
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

/** Time per project, relative to the previous size. At most 1 means linear or better. */
function growth(costs: readonly number[], sizes: readonly number[]) {
  const [before, now] = [costs.at(-2), costs.at(-1)];
  if (before === undefined || now === undefined) return [];
  const size = sizes[costs.length - 2]?.toLocaleString("en-US");
  return [{ of: "ours, time per project", to: `${size} projects`, rounds: [now / before], target: { most: 1.1 } }];
}

export const reset: Measure = {
  name: "reset",
  about: "monthly reset of many organizations, compared with a loop",
  run: async (bench) => {
    const { workerd, scale } = bench;
    const { organizations } = scale;
    const title = `monthly reset of ${organizations.toLocaleString("en-US")} organizations`;
    bench.report(title);
    const withSeed = async (run: () => Promise<unknown>): Promise<number> => {
      await work(workerd, "/clear");
      await work(workerd, "/seed/organizations", organizations);
      return timed(run);
    };
    const series = await inTurns(scale.rounds, "ms", [
      {
        name: "ours",
        run: async () =>
          withSeed(async () => {
            const { rows_updated } = await runJob<{ rows_updated: number }>(workerd, "reset_quotas");
            if (rows_updated < organizations) throw new Error(`${organizations} periods must be closed (got ${rows_updated})`);
          }),
      },
      { name: "a loop", run: async (round) => withSeed(async () => work(workerd, "/loop/reset", organizations, `loop-${round}`)) },
    ]);
    return [{ title, series, ratios: ratio(series, "a loop", "ours", organizations === TARGET_SIZE ? { least: 50 } : undefined) }];
  },
};

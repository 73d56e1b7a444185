/** Text format 0.0.4 of Prometheus and OpenMetrics 1.0. Independent of the metrics. No I/O. No clock. */

export type ExpositionFormat = "prometheus" | "openmetrics";

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Samples of one name. An unreadable measurement has no samples, because a missing value is not 0. */
export interface MetricFamily {
  /** Without the suffix `_total`, which the samples of a counter have. */
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Prometheus refuses unknown content types. */
export const EXPOSITION_TYPES = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const satisfies Record<ExpositionFormat, string>;

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
const quoted = (text: string): string => `"${escaped(text).replaceAll('"', '\\"')}"`;

export function exposition(families: readonly MetricFamily[], format: ExpositionFormat): string {
  const lines = families.filter(({ samples }) => samples.length > 0).flatMap((family) => linesOf(family, format));
  return `${[...lines, ...(format === "openmetrics" ? ["# EOF"] : [])].join("\n")}\n`;
}

function linesOf({ name, type, help, samples }: MetricFamily, format: ExpositionFormat): string[] {
  const sampleName = type === "counter" ? `${name}_total` : name;
  // The older format names a counter like its samples.
  const described = format === "openmetrics" ? name : sampleName;
  return [
    `# HELP ${described} ${format === "openmetrics" ? escaped(help).replaceAll('"', '\\"') : escaped(help)}`,
    `# TYPE ${described} ${type}`,
    ...samples.map(({ labels = {}, value }) => `${sampleName}${labelsOf(labels)} ${value}`),
  ];
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${quoted(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

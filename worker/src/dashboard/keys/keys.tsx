/** API keys of a project, with earlier versions in their grace period. */
import type { ApiKeyView, KeyVersion } from "../../store/keys/api-keys.ts";
import { quantity } from "../format.ts";
import { Card, Table, Time, TimeOrNone } from "../parts.tsx";

interface ProjectKeysProps {
  readonly keys: readonly ApiKeyView[];
  readonly now: number;
}

export function ProjectKeys({ keys, now }: ProjectKeysProps) {
  return (
    <Card title="API keys" id="keys">
      <Table
        label="API keys"
        rows={keys}
        keyOf={({ id }) => id}
        none="This project has no API key."
        columns={[
          { name: "Name", cell: ({ name }) => name },
          { name: "Id", cell: ({ id, mode }) => <code>{`qc_${mode}_${id}_…`}</code> },
          { name: "Scopes", cell: ({ scopes }) => scopes.join(", ") },
          { name: "State", cell: (key) => keyState(key, now) },
          { name: "Version", cell: (key) => <Versions of={key} now={now} /> },
          { name: "Last used", cell: ({ last_used_at: at }) => <TimeOrNone at={at} now={now} none="never" /> },
          { name: "Expires", cell: ({ expires_at: at }) => <TimeOrNone at={at} now={now} none="never" /> },
        ]}
      />
    </Card>
  );
}

function keyState({ revoked_at, expires_at }: ApiKeyView, now: number): string {
  if (revoked_at !== null) return "revoked";
  return expires_at !== null && expires_at <= now ? "expired" : "active";
}

function Versions({ of: key, now }: { readonly of: ApiKeyView; readonly now: number }) {
  const [newest, ...earlier] = key.versions;
  const inGrace = keyState(key, now) === "active" ? earlier.filter(({ expires_at: end }) => end === null || end > now) : [];
  return (
    <>
      {newest?.version ?? "–"}
      {inGrace.map((version) => (
        <Grace version={version} now={now} />
      ))}
    </>
  );
}

function Grace({ version: { version, expires_at: end, grace_uses: uses }, now }: { readonly version: KeyVersion; readonly now: number }) {
  return (
    <div class="wide">
      {version} works until {end === null ? "the key expires" : <Time at={end} now={now} />}
      <span class="muted"> ({uses === 0 ? "not used since" : `used ${quantity(uses, "time")} since`})</span>
    </div>
  );
}

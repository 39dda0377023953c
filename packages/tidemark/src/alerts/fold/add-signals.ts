import type { Pool } from '../../postgres/postgres.js'
import type { AlertSignal } from '../alerts.js'

/** `stored`: their time is that of Postgres. `kept`: they were kept elsewhere meanwhile, and bring their time along. */
export type SignalAge = 'stored' | 'kept'

/** Text that Postgres takes: well-formed, without the character that it has none for, and not without end. */
const storable = (text: string, most: number): string => Buffer.from(text.replaceAll('\0', '').slice(0, most)).toString()

/** Appends signals. One that is there already stays, and learns who was told of it. */
export const addSignals = async (
  pool: Pick<Pool, 'query'>,
  signals: readonly AlertSignal[],
  age: SignalAge,
  signal?: AbortSignal,
): Promise<void> => {
  if (signals.length === 0) return
  const records = signals.map((each) => ({
    id: each.id,
    kind: each.kind,
    alert_type: storable(each.alertType, 200),
    entity_id: storable(each.entityId, 1000),
    entity_type: each.entityType,
    message: storable(each.message, 4000),
    severity: each.severity,
    labels: Object.fromEntries(Object.entries(each.labels).map(([label, value]) => [label, storable(value, 1000)])),
    source: each.source,
    raised: each.raisedAtMs,
    told: each.told,
    proposed_id: each.proposedId ?? null,
  }))
  const raisedAt = age === 'stored' ? 'clock_timestamp()' : 'least(to_timestamp(r.raised / 1000), clock_timestamp())'
  await pool.query(
    `insert into tidemark.alert_signals (id, kind, alert_type, entity_id, entity_type, message, severity, labels, source, raised_at, told, proposed_id)
     select r.id, r.kind, r.alert_type, r.entity_id, r.entity_type, r.message, r.severity, r.labels, r.source, ${raisedAt},
            array(select jsonb_array_elements_text(r.told)), r.proposed_id
       from jsonb_array_elements($1::jsonb) with ordinality as given(item, place),
            jsonb_to_record(item) as r (id uuid, kind text, alert_type text, entity_id text, entity_type text, message text, severity text,
              labels jsonb, source text, raised float8, told jsonb, proposed_id uuid)
      order by place
         on conflict (id) do update set told = excluded.told, proposed_id = excluded.proposed_id
               where alert_signals.folded_at is null`,
    [JSON.stringify(records)],
    { idempotent: true, ...(signal && { signal }) },
  )
}

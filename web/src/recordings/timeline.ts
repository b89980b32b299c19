/**
 * A recording's times, as values: the asciicast is read here, and idle stretches are shortened here, so that the panel,
 * the clock and the player always agree on what a moment means. `raw` is time since the recording began, `shown` is the
 * same moment after shortening; both in milliseconds.
 */
export type Output = [at: number, code: 'o' | 'r', data: string]

export interface Cast {
  width: number
  height: number
  /** When the recording began, in milliseconds since the epoch; undefined when the header does not say. */
  startedAt: number | undefined
  events: Output[]
}

export interface Timeline {
  events: Output[]
  /** The length as shown. */
  length: number
  /** How much idle time is left out. */
  skipped: number
  toShown: (raw: number) => number
  toRaw: (shown: number) => number
}

export class UnreadableCast extends Error {}

/** Reads asciicast v2. Lines that are no output or resize are left out: markers come from the index, not from here. */
export function readCast(text: string): Cast {
  const lines = text.split('\n')
  const header = parsed(lines[0]) as { version?: number; width?: number; height?: number; timestamp?: number } | undefined
  if (header?.version !== 2) throw new UnreadableCast('not an asciicast of version 2')
  const events: Output[] = []
  for (const line of lines.slice(1)) {
    if (line === '') continue
    const event = parsed(line)
    if (!Array.isArray(event)) throw new UnreadableCast('a line is not an event')
    const [at, code, data] = event as [number, string, string]
    if (code === 'o' || code === 'r') events.push([Math.round(at * 1000), code, data])
  }
  return {
    width: header.width || 80,
    height: header.height || 24,
    startedAt: header.timestamp ? header.timestamp * 1000 : undefined,
    events,
  }
}

function parsed(line: string | undefined): unknown {
  try {
    return JSON.parse(line ?? '') as unknown
  } catch {
    throw new UnreadableCast('a line is not JSON')
  }
}

/** Shortens every silence longer than `limit` to `limit`; `Infinity` leaves all as it was. */
export function shorten(events: Output[], limit: number): Timeline {
  // Steps: from this raw moment on, so much has been left out.
  const from: number[] = [0]
  const left: number[] = [0]
  let skipped = 0
  let previous = 0
  const shown = events.map<Output>(([at, code, data]) => {
    const over = at - previous - limit
    if (over > 0) {
      skipped += over
      from.push(at)
      left.push(skipped)
    }
    previous = at
    return [at - skipped, code, data]
  })
  const step = (isBefore: (index: number) => boolean): number => {
    let low = 0
    let high = from.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (isBefore(middle)) low = middle
      else high = middle - 1
    }
    return low
  }
  const length = shown.at(-1)?.[0] ?? 0
  return {
    events: shown,
    length,
    skipped,
    toShown: (raw) => {
      const index = step((i) => (from[i] ?? 0) <= raw)
      // Inside a silence that was shortened, the moment is at most where the silence ends.
      const next = index + 1 < from.length ? (from[index + 1] ?? 0) - (left[index + 1] ?? 0) : length
      return Math.max(0, Math.min(raw - (left[index] ?? 0), next))
    },
    toRaw: (at) => {
      const index = step((i) => (from[i] ?? 0) - (left[i] ?? 0) <= at)
      return at + (left[index] ?? 0)
    },
  }
}

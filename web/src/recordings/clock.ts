/**
 * Raw time of a recording and time as shown when silences are shortened, both ways; the same mapping as the server's
 * `recorder.keyframes.Clock`. All in milliseconds.
 */
export type Silence = readonly [start: number, length: number]

export interface Clock {
  toShown: (raw: number) => number
  toRaw: (shown: number) => number
}

/** Silences longer than `limit` are shown for `limit`; `Infinity` shortens nothing. */
export function clockOf(silences: readonly Silence[], limit: number): Clock {
  const ends: number[] = []
  const left: number[] = [0]
  const shownEnds: number[] = []
  let sum = 0
  for (const [start, length] of silences) {
    if (length <= limit) continue
    sum += length - limit
    ends.push(start + length)
    left.push(sum)
    shownEnds.push(start + length - sum)
  }
  const past = (moments: number[], at: number): number => {
    let low = 0
    let high = moments.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((moments[middle] ?? Infinity) <= at) low = middle + 1
      else high = middle
    }
    return low
  }
  return {
    toShown: (raw) => {
      const at = past(ends, raw)
      return Math.min(raw - (left[at] ?? 0), shownEnds[at] ?? Infinity)
    },
    toRaw: (shown) => shown + (left[past(shownEnds, shown)] ?? 0),
  }
}

/**
 * What was seen of a live session so far, kept for looking back: every frame once, in order, within a bound. Positions
 * count from the first frame of all, also when the oldest are not kept any more.
 */
import type { LiveFrame } from './stream'

export interface Shot {
  at: number
  channel: number
  bytes?: Uint8Array
  size?: [columns: number, rows: number]
}

export interface Channel {
  number: number
  kind: 'shell' | 'exec' | 'subsystem'
  text: string
  over: boolean
}

/** An entry for the list beside the picture; the same as a recording's index holds. */
export interface Moment {
  at_ms: number
  kind: string
  text: string
  rule_id: string | null
}

const MOST_BYTES = 24 * 1024 * 1024
const MOST_SHOTS = 200_000
const MOST_MOMENTS = 5_000
/** What a shot costs beside its bytes. */
const SHOT_BYTES = 64

export class Film {
  /** The number of the last frame that was taken: where to go on. */
  last = 0
  /** So many of the oldest shots are not kept any more. */
  base = 0
  shots: Shot[] = []
  moments: Moment[] = []
  channels: Channel[] = []
  private bytes = 0
  private readonly mostBytes: number
  private readonly mostShots: number

  constructor(mostBytes = MOST_BYTES, mostShots = MOST_SHOTS) {
    this.mostBytes = mostBytes
    this.mostShots = mostShots
  }

  /** Where the next shot will stand. */
  get end(): number {
    return this.base + this.shots.length
  }

  /** The moment of the first shot that is kept, and of the last. */
  get from(): number {
    return this.base === 0 ? 0 : (this.shots[0]?.at ?? 0)
  }
  get to(): number {
    return this.shots.at(-1)?.at ?? 0
  }

  /** Takes what is new; a frame that was taken before is left out. */
  take(frames: LiveFrame[]): void {
    for (const frame of frames) {
      if (frame.n <= this.last) continue
      this.last = frame.n
      this.add(frame)
    }
    this.trim()
  }

  /** The server has looked further than it showed: what was typed has numbers too. */
  passed(lastFrame: number): void {
    this.last = Math.max(this.last, lastFrame)
  }

  /** The position behind everything that had happened at a moment. */
  indexAt(ms: number): number {
    let low = 0
    let high = this.shots.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.shots[middle]?.at ?? Infinity) <= ms) low = middle + 1
      else high = middle
    }
    return this.base + low
  }

  private add({ at_ms: at, channel, kind, ...frame }: LiveFrame): void {
    switch (kind) {
      case 'output':
      case 'error_output':
        this.keep({ at, channel, bytes: fromBase64(frame.data_b64 ?? '') })
        break
      case 'resize':
        if (frame.width && frame.height) this.keep({ at, channel, size: [frame.width, frame.height] })
        break
      case 'shell':
      case 'exec':
      case 'subsystem':
        this.channels = [...this.channels, { number: channel, kind, text: frame.text ?? '', over: false }]
        this.tell({ at_ms: at, kind, text: frame.text ?? '', rule_id: null })
        break
      case 'exit':
        this.channels = this.channels.map((one) => (one.number === channel ? { ...one, over: true } : one))
        break
      case 'note':
        this.tell({
          at_ms: at,
          kind: words(frame.note, 'kind', 'code') ?? 'note',
          text: words(frame.note, 'text', 'command', 'message') ?? '',
          rule_id: words(frame.note, 'rule_id') ?? null,
        })
    }
  }

  private keep(shot: Shot): void {
    this.shots.push(shot)
    this.bytes += SHOT_BYTES + (shot.bytes?.length ?? 0)
  }

  private tell(moment: Moment): void {
    this.moments = [...this.moments.slice(1 - MOST_MOMENTS), moment]
  }

  /** A quarter at once, so that it seldom happens. */
  private trim(): void {
    while (this.shots.length > 1 && (this.bytes > this.mostBytes || this.shots.length > this.mostShots)) {
      const gone = this.shots.splice(0, Math.ceil(this.shots.length / 4))
      this.base += gone.length
      for (const shot of gone) this.bytes -= SHOT_BYTES + (shot.bytes?.length ?? 0)
    }
  }
}

function words(note: Record<string, unknown> | undefined, ...names: string[]): string | undefined {
  return names.map((name) => note?.[name]).find((value) => typeof value === 'string')
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index)
  return bytes
}

/** Where playing goes on from: time passes, and a silence is no longer than `limit`. */
export function forward(film: Film, at: number, passed: number, limit: number): number {
  const next = film.shots[film.indexAt(at) - film.base]
  if (next === undefined) return film.to
  return Math.max(at + passed, next.at - limit)
}

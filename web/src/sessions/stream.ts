/**
 * The server-sent events of a watch (WHATWG HTML, section 9.2), read from one streamed answer, and what the end of one
 * means. Not EventSource: that hides why an answer was refused, and joins again also when it must not.
 */
export interface LiveFrame {
  n: number
  at_ms: number
  channel: number
  kind: string
  data_b64?: string
  width?: number
  height?: number
  text?: string
  note?: Record<string, unknown>
}

export type WatchEvent =
  | { name: 'start' | 'live' | 'beat'; lastFrame: number }
  | { name: 'frames'; frames: LiveFrame[] }
  | { name: 'end'; reason: string }

/** Takes the answer piece by piece, wherever it was split. */
export class EventReader {
  private readonly decoder = new TextDecoder()
  private rest = ''

  feed(piece: Uint8Array): WatchEvent[] {
    const parts = (this.rest + this.decoder.decode(piece, { stream: true })).split('\n\n')
    this.rest = parts.pop() ?? ''
    return parts.map(eventOf).filter((event) => event !== undefined)
  }
}

function eventOf(text: string): WatchEvent | undefined {
  const fields = new Map(text.split('\n').map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]))
  const data = JSON.parse(fields.get('data') ?? '{}') as Record<string, unknown>
  const name = fields.get('event')
  switch (name) {
    case 'start':
      return { name, lastFrame: Number(data.after_frame) }
    case 'live':
    case 'beat':
      return { name, lastFrame: Number(data.last_frame) }
    case 'frames':
      return { name, frames: data.frames as LiveFrame[] }
    case 'end':
      return { name, reason: String(data.reason) }
    default:
      return undefined
  }
}

/** `over`: nothing more will come. `signed_out`: sign in again. `rejoin`: go on behind the last frame. */
export type Afterwards = 'over' | 'signed_out' | 'rejoin'

export function afterEnd(reason: string): Afterwards {
  if (reason === 'session_ended') return 'over'
  return reason === 'signed_out' ? 'signed_out' : 'rejoin'
}

/** How long to wait before the next try, in milliseconds: at once, then longer, at most ten seconds. */
export const patience = (failures: number): number => (failures === 0 ? 0 : Math.min(500 * 2 ** (failures - 1), 10_000))

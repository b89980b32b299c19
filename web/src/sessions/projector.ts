/** Brings the screen to a position of the film: forward by what is between, back by beginning anew. */
import type { Film } from './film'

export interface Canvas {
  clear: () => void
  write: (bytes: Uint8Array) => void
  resize: (columns: number, rows: number) => void
}

export class Projector {
  private shown = 0
  private channel: number | undefined
  private readonly film: Film
  private readonly canvas: Canvas

  constructor(film: Film, canvas: Canvas) {
    this.film = film
    this.canvas = canvas
  }

  /** Shows one channel up to a position. */
  show(channel: number | undefined, position: number): void {
    if (channel !== this.channel || position < this.shown) {
      this.channel = channel
      this.shown = 0
      this.canvas.clear()
    }
    const { base, shots } = this.film
    for (let at = Math.max(this.shown, base); at < position; at += 1) {
      const shot = shots[at - base]
      if (shot === undefined || shot.channel !== channel) continue
      if (shot.bytes) this.canvas.write(shot.bytes)
      else if (shot.size) this.canvas.resize(...shot.size)
    }
    this.shown = position
  }
}

/** The channel worth looking at: the youngest terminal that is open, else the youngest of all. */
export function bestChannel(film: Film): number | undefined {
  const terminals = film.channels.filter((channel) => channel.kind !== 'subsystem')
  return (terminals.findLast((channel) => !channel.over) ?? terminals.at(-1))?.number
}

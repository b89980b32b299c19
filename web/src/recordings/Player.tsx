/**
 * The terminal player, on the main thread (its worker mode does not start in 3.17). It gets events whose idle stretches
 * are shortened already, and at most a few markers of its own.
 */
import { create, type Marker, type Player as AsciinemaPlayer } from 'asciinema-player'
import 'asciinema-player/dist/bundle/asciinema-player.css'
import { useEffect, useRef, type Ref, useImperativeHandle } from 'react'

import type { Cast, Timeline } from './timeline'

export interface PlayerHandle {
  /** Goes to a shown moment, in milliseconds. */
  seek: (shown: number) => void
  /** The shown moment, in milliseconds. */
  now: () => number
}

export const FONT =
  'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace'

// Half a millisecond more, so that what happened at exactly this moment is shown whatever the rounding.
export const inSeconds = (milliseconds: number) => (milliseconds + 0.5) / 1000
export const inMilliseconds = (seconds: number) => Math.floor(seconds * 1000 + 0.01)

interface Props {
  ref: Ref<PlayerHandle>
  cast: Cast
  timeline: Timeline
  markers: Marker[]
  speed: number
  label: string
}

export function Player({ ref, cast, timeline, markers, speed, label }: Props) {
  const frame = useRef<HTMLDivElement>(null)
  const player = useRef<AsciinemaPlayer>(undefined)
  // Where to go on when speed or shortening change: the player must be made anew for that.
  const position = useRef({ timeline, raw: 0 })

  useEffect(() => {
    if (!frame.current) return
    const begin = timeline.toShown(position.current.raw)
    const made = create(
      { data: [], parser: () => ({ cols: cast.width, rows: cast.height, events: timeline.events }) },
      frame.current,
      {
        preload: true,
        controls: true,
        fit: 'width',
        speed,
        markers,
        poster: 'npt:0.3',
        terminalFontFamily: FONT,
      },
    )
    player.current = made
    if (begin > 0) void made.seek(inSeconds(begin))
    const kept = position.current
    return () => {
      kept.raw = timeline.toRaw(inMilliseconds(made.getCurrentTime()))
      player.current = undefined
      made.dispose()
    }
  }, [cast, timeline, markers, speed])

  useImperativeHandle(
    ref,
    () => ({
      seek: (shown) => void player.current?.seek(inSeconds(shown)),
      now: () => inMilliseconds(player.current?.getCurrentTime() ?? 0),
    }),
    [],
  )
  return <div className="player" ref={frame} role="region" aria-label={label} />
}

/** What of the film is on the screen: its living end, or a moment of before, standing or playing. */
import { useCallback, useEffect, useReducer, useRef, useState, type RefObject } from 'react'

import { Film, forward } from './film'
import { Projector, bestChannel } from './projector'
import type { ScreenHandle } from './Screen'

export type View = 'live' | 'paused' | 'playing'

const STEP_MS = 50
const IDLE_LIMIT_MS = 2_000
const REDRAW_MS = 200

export interface Show {
  film: Film
  view: View
  /** The moment that is shown, in milliseconds since the beginning. */
  at: number
  channel: number | undefined
  chooseChannel: (channel: number) => void
  goLive: () => void
  lookAt: (ms: number) => void
  play: (from?: number) => void
  pause: () => void
  /** To be called when the film has grown; resolves when the screen can take more. */
  grown: () => Promise<void>
}

export function useShow(screen: RefObject<ScreenHandle | null>): Show {
  const [film] = useState(() => new Film())
  const [view, setView] = useState<View>('live')
  const [at, setAt] = useState(0)
  const [chosen, setChosen] = useState<number>()
  const [, redraw] = useReducer((count: number) => count + 1, 0)
  const now = useRef({ view, at, chosen })
  const projector = useRef<Projector>(undefined)
  const timer = useRef(0)

  const draw = useCallback(() => {
    if (!screen.current) return
    projector.current ??= new Projector(film, screen.current)
    const { view: how, at: when, chosen: channel } = now.current
    projector.current.show(channel ?? bestChannel(film), how === 'live' ? film.end : film.indexAt(when))
  }, [film, screen])

  const change = useCallback(
    (next: Partial<{ view: View; at: number; chosen: number }>) => {
      now.current = { ...now.current, ...next }
      setView(now.current.view)
      setAt(now.current.at)
      setChosen(now.current.chosen)
      draw()
    },
    [draw],
  )

  const grown = useCallback(async () => {
    if (now.current.view === 'live') draw()
    if (timer.current === 0) {
      timer.current = window.setTimeout(() => {
        timer.current = 0
        redraw()
      }, REDRAW_MS)
    }
    await screen.current?.ready()
  }, [draw, screen])

  useEffect(() => () => window.clearTimeout(timer.current), [])

  useEffect(() => {
    if (view !== 'playing') return
    let last = performance.now()
    const step = window.setInterval(() => {
      const passed = performance.now() - last
      last += passed
      const next = forward(film, now.current.at, passed, IDLE_LIMIT_MS)
      change(next >= film.to ? { view: 'live' } : { at: next })
    }, STEP_MS)
    return () => window.clearInterval(step)
  }, [view, film, change])

  return {
    film,
    view,
    at: view === 'live' ? film.to : at,
    channel: chosen ?? bestChannel(film),
    chooseChannel: (channel) => change({ chosen: channel }),
    goLive: () => change({ view: 'live' }),
    lookAt: (ms) => change({ view: 'paused', at: ms }),
    play: (from) => change({ view: 'playing', at: from ?? now.current.at }),
    pause: () => change({ view: 'paused', at: now.current.view === 'live' ? film.to : now.current.at }),
    grown,
  }
}

/** Keeps a watch of a live session: joins, takes every frame once, and joins again behind the last one by itself. */
import { useEffect, useState } from 'react'

import { openStream } from '../app/api'
import { asProblem, type Problem } from '../app/problem'
import type { Film } from './film'
import { EventReader, afterEnd, patience, type WatchEvent } from './stream'

export type Line =
  | { state: 'joining' | 'history' | 'live' | 'over' }
  /** The line broke, `why` says how; it is tried again. */
  | { state: 'broken'; why: string }
  | { state: 'refused'; problem: Problem }

export interface WatchState {
  line: Line
  /** When and why this watch was last interrupted; it may be whole again by now. */
  interrupted: { at: Date; why: string } | undefined
}

const SILENCE_MS = 15_000
/** After these the session cannot be watched again from here. */
const FINAL = new Set(['sessions.not_live', 'not_found', 'identities.not_permitted'])

interface Options {
  enabled: boolean
  film: Film
  /** Frames were taken; resolves when the next may be read. */
  onFrames: () => Promise<void>
  /** The session stands otherwise than before: somebody more watches it, or it is over. */
  onTurn: () => void
}

export function useWatch(sessionId: string, { enabled, film, onFrames, onTurn }: Options): WatchState {
  const [line, setLine] = useState<Line>({ state: 'joining' })
  const [interrupted, setInterrupted] = useState<WatchState['interrupted']>()

  useEffect(() => {
    if (!enabled) return
    const leaving = new AbortController()
    const { signal } = leaving
    let failures = 0

    const take = async (event: WatchEvent): Promise<string | undefined> => {
      if (event.name === 'end') return event.reason
      if (event.name === 'frames') {
        film.take(event.frames)
        await onFrames()
        return undefined
      }
      if (event.name === 'start') setLine({ state: 'history' })
      else film.passed(event.lastFrame)
      if (event.name === 'live') {
        failures = 0
        setLine({ state: 'live' })
        onTurn()
      }
      return undefined
    }

    const keep = async () => {
      for (;;) {
        let why: string
        try {
          why = await watchOnce(sessionId, film.last, signal, take)
        } catch (error) {
          const problem = asProblem(error)
          if (signal.aborted) return
          if (FINAL.has(problem.code) || problem.status === 401) {
            setLine({ state: 'refused', problem })
            onTurn()
            return
          }
          why = problem.status === 0 ? 'network' : problem.code
        }
        if (signal.aborted) return
        if (afterEnd(why) === 'over') {
          setLine({ state: 'over' })
          onTurn()
          return
        }
        setLine({ state: 'broken', why })
        setInterrupted({ at: new Date(), why })
        await pause(patience(failures), signal)
        if (signal.aborted) return
        failures += 1
      }
    }
    void keep()
    return () => leaving.abort()
  }, [enabled, film, onFrames, onTurn, sessionId])

  return { line, interrupted }
}

/** One streamed answer to its end: why it ended. Throws a `Problem` when it was refused or broke. */
async function watchOnce(
  sessionId: string,
  after: number,
  signal: AbortSignal,
  take: (event: WatchEvent) => Promise<string | undefined>,
): Promise<string> {
  const silent = new AbortController()
  let timer = 0
  const heard = () => {
    window.clearTimeout(timer)
    timer = window.setTimeout(() => silent.abort(), SILENCE_MS)
  }
  try {
    heard()
    const path = `/api/v1/sessions/${encodeURIComponent(sessionId)}/watch?after=${after}`
    const body = await openStream(path, AbortSignal.any([signal, silent.signal]))
    const reader = body.getReader()
    const events = new EventReader()
    for (;;) {
      const { done, value } = await reader.read()
      heard()
      if (done) return 'lost'
      for (const event of events.feed(value)) {
        const why = await take(event)
        if (why !== undefined) return why
      }
    }
  } catch (error) {
    if (silent.signal.aborted) return 'silent'
    throw error
  } finally {
    window.clearTimeout(timer)
    silent.abort()
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = window.setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      window.clearTimeout(timer)
      resolve()
    })
  })
}

import { useQuery } from '@tanstack/react-query'

import { api, ask, type Answer } from '../app/api'
import { readCast } from './timeline'

export type Recording = Answer<'/api/v1/recordings/{recording_id}', 'get'>
export type RecordingEvent = Answer<'/api/v1/recordings/{recording_id}/events', 'get'>['items'][number]

const path = (id: string) => ({ params: { path: { recording_id: id } } })

export const useRecording = (id: string) =>
  useQuery({
    queryKey: ['recordings', id],
    queryFn: () => ask(api.GET('/api/v1/recordings/{recording_id}', path(id))),
  })

/** Every reading of the cast is written into the audit trail, so it is read once and not again by itself. */
export const useCast = (id: string) =>
  useQuery({
    queryKey: ['recordings', id, 'cast'],
    queryFn: async () =>
      readCast(await ask<string>(api.GET('/api/v1/recordings/{recording_id}/cast', { ...path(id), parseAs: 'text' }))),
    staleTime: Infinity,
    gcTime: 0,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    retry: false,
  })

export const useEvents = (id: string) =>
  useQuery({
    queryKey: ['recordings', id, 'events'],
    queryFn: () => ask(api.GET('/api/v1/recordings/{recording_id}/events', path(id))),
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  })

export type Times = Answer<'/api/v1/recordings/{recording_id}/timeline', 'get'>

export interface Chunk {
  at_ms: number
  columns: number
  rows: number
  screen: string
  events: [at: number, code: 'o' | 'r', data: string][]
}

/** Looking at a timeline is written into the audit trail once it is there; while it is made, it is asked for again. */
export const useTimeline = (id: string) =>
  useQuery({
    queryKey: ['recordings', id, 'timeline'],
    queryFn: async () => (await ask(api.GET('/api/v1/recordings/{recording_id}/timeline', path(id)))) as Times,
    refetchInterval: (query) => (query.state.data?.state === 'preparing' ? 1_000 : false),
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  })

export const useChunk = (id: string, number: number) =>
  useQuery({
    queryKey: ['recordings', id, 'chunks', number],
    queryFn: async () =>
      (await ask(
        api.GET('/api/v1/recordings/{recording_id}/chunks/{number}', { params: { path: { recording_id: id, number } } }),
      )) as Chunk,
    staleTime: Infinity,
    gcTime: 60_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  })

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

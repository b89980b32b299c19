import { useQuery } from '@tanstack/react-query'

import { api, ask, type Answer } from '../app/api'

export type Health = Answer<'/api/v1/health', 'get'>

const REFRESH_SECONDS = 15

export const useHealth = () =>
  useQuery({
    queryKey: ['health'],
    queryFn: () => ask(api.GET('/api/v1/health')),
    refetchInterval: REFRESH_SECONDS * 1000,
  })

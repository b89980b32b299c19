import { useQuery } from '@tanstack/react-query'

import { api, ask, type Answer } from '../app/api'

export type SetUp = Answer<'/api/v1/set-up', 'get'>
export type Step = SetUp['steps'][number]

export const SET_UP = 'set-up'
const REFRESH_SECONDS = 15

export const useSetUp = (enabled: boolean) =>
  useQuery({
    queryKey: [SET_UP],
    queryFn: () => ask(api.GET('/api/v1/set-up')),
    enabled,
    // What is complete stays so; what is not is usually finished by somebody else.
    refetchInterval: (query) => (query.state.data?.complete ? false : REFRESH_SECONDS * 1000),
  })

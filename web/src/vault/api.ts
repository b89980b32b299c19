import { useQuery } from '@tanstack/react-query'

import { api, ask, type Body } from '../app/api'

export type NewCredential = Body<'/api/v1/targets/{target_id}/credentials'>

export const useCredentialStates = (id: string) =>
  useQuery({
    queryKey: ['targets', id, 'credentials'],
    queryFn: () => ask(api.GET('/api/v1/targets/{target_id}/credentials', { params: { path: { target_id: id } } })),
  })

export const putCredential = ({ id, ...body }: NewCredential & { id: string }) =>
  ask(api.POST('/api/v1/targets/{target_id}/credentials', { params: { path: { target_id: id } }, body }))

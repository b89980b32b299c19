/** The two habits of every page: read a list page by page, and do one thing and read again. */
import { useInfiniteQuery, useMutation, useQueryClient, type QueryKey } from '@tanstack/react-query'
import { useMemo } from 'react'

export interface Page<T> {
  items: T[]
  next_cursor?: string | null
}

export interface List<T> {
  items: T[]
  loading: boolean
  error: Error | null
  more: (() => void) | undefined
  loadingMore: boolean
}

interface ListOptions {
  /** Ask again after so many seconds while the page is visible. */
  refreshSeconds?: number
  enabled?: boolean
}

export function useList<T>(
  key: QueryKey,
  load: (cursor: string | undefined) => Promise<Page<T>>,
  { refreshSeconds, enabled = true }: ListOptions = {},
): List<T> {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => load(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: Page<T>) => page.next_cursor ?? undefined,
    refetchInterval: refreshSeconds ? refreshSeconds * 1000 : false,
    enabled,
  })
  const items = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  return {
    items,
    loading: query.isLoading,
    error: query.error,
    more: query.hasNextPage ? () => void query.fetchNextPage() : undefined,
    loadingMore: query.isFetchingNextPage,
  }
}

/**
 * One change of state. What the page shows afterwards is read again from the server; nothing is shown as done before
 * the server has said so.
 */
export function useAct<Input, Result>(
  act: (input: Input) => Promise<Result>,
  { rereads, done }: { rereads: string[]; done?: (result: Result, input: Input) => void },
) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: act,
    onSuccess: (result, input) => done?.(result, input),
    // Also after a refusal: it often means that somebody else was faster.
    onSettled: () => Promise.all(rereads.map((name) => client.invalidateQueries({ queryKey: [name] }))),
  })
}

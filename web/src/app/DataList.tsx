/** A list of records: a table where there is room, one card a record on a phone. */
import { Button, Spin } from 'antd'
import type { ReactNode } from 'react'

import type { List } from './data'
import { useI18n } from './i18n/i18n'
import { Refusal } from './parts'
import { usePhone } from './useMedia'

export interface Column<T> {
  title: string
  /** The first column names the record: it heads the card. A column without a title holds the actions. */
  render: (row: T) => ReactNode
  /** Not shown on a phone's card. */
  wide?: boolean
}

interface Props<T> {
  label: string
  list: List<T>
  columns: Column<T>[]
  rowKey: (row: T) => string
  empty: ReactNode
}

export function DataList<T>({ label, list, columns, rowKey, empty }: Props<T>) {
  const { t } = useI18n()
  const phone = usePhone()
  if (list.loading) return <Loading />
  return (
    <>
      <Refusal error={list.error} />
      {list.items.length === 0 && !list.error ? <p className="empty">{empty}</p> : null}
      {list.items.length > 0 && (phone ? <Cards {...{ label, list, columns, rowKey }} /> : <Table {...{ label, list, columns, rowKey }} />)}
      {list.more ? (
        <p className="center">
          <Button onClick={list.more} loading={list.loadingMore}>
            {t('app.more')}
          </Button>
        </p>
      ) : null}
    </>
  )
}

export function Loading() {
  const { t } = useI18n()
  return (
    <div className="loading" role="status" aria-label={t('app.loading')}>
      <Spin />
    </div>
  )
}

type Inner<T> = Omit<Props<T>, 'empty'>

function Table<T>({ label, list, columns, rowKey }: Inner<T>) {
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((column, index) =>
              column.title ? (
                <th key={index} scope="col">
                  {column.title}
                </th>
              ) : (
                <td key={index} />
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {list.items.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map((column, index) => (
                <td key={index} className={column.title ? undefined : 'actions'}>
                  {column.render(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Cards<T>({ label, list, columns, rowKey }: Inner<T>) {
  const [head, ...rest] = columns
  const facts = rest.filter((column) => column.title && !column.wide)
  const actions = rest.filter((column) => !column.title)
  return (
    <ul className="cards" aria-label={label}>
      {list.items.map((row) => (
        <li key={rowKey(row)}>
          <h2>{head?.render(row)}</h2>
          <dl className="facts">
            {facts.map((column) => (
              <div key={column.title}>
                <dt>{column.title}</dt>
                <dd>{column.render(row)}</dd>
              </div>
            ))}
          </dl>
          {actions.map((column, index) => (
            <div key={index} className="actions">
              {column.render(row)}
            </div>
          ))}
        </li>
      ))}
    </ul>
  )
}

/**
 * A person of the plant is confirmed by the code that they were shown when they chose password and second factor:
 * whoever used the activation link in their name has another code.
 */
import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { SpokenCodeDialog } from '../app/SpokenCodeDialog'
import { PEOPLE, confirmPerson, type Person } from './api'

export function ConfirmDialog({ person, onClose }: { person: Person; onClose: () => void }) {
  const { t, tCode } = useI18n()
  const act = useAct(confirmPerson, { rereads: [PEOPLE], done: onClose })
  return (
    <SpokenCodeDialog
      words={{
        title: t('identities.confirm_title', { name: person.display_name }),
        confirm: t('identities.confirm'),
        steps: [t('identities.confirm_step_call', { name: person.display_name }), t('identities.confirm_step_read'), t('identities.confirm_step_type')],
        code: t('identities.confirmation_code'),
        codeNeeded: t('identities.confirmation_code_needed'),
      }}
      facts={[
        [t('identities.username'), person.username],
        [t('identities.role_label'), tCode('identities.role', person.role)],
      ]}
      act={act}
      onCode={(code) => act.mutate({ id: person.id, code })}
      onClose={onClose}
    />
  )
}

-- How grave what the risk check found is, for whoever looks at a yarn without its words. Detections keep the phrase of the list alone, as the
-- file that they come from does. src/risk/phrases.ts is the list; a phrase that is in neither list any more has no tier.

create function public.risk_tier(phrase text) returns text
language sql immutable parallel safe
set search_path = pg_catalog
as $$
  select case
    when phrase = any (array[
      'suicide', 'suicidal', 'kill myself', 'killing myself', 'kms', 'neck myself', 'hang myself', 'hurt myself',
      'hurting myself', 'harm myself', 'harming myself', 'cut myself', 'cutting myself', 'self harm', 'selfharm',
      'end my life', 'ending my life', 'end it all', 'take my own life', 'take my life', 'want to die', 'wanna die',
      'ready to die', 'wish i was dead', 'wish i were dead', 'rather be dead', 'better off dead',
      'better off without me', 'dont want to live', 'dont wanna live', 'dont want to be alive', 'dont wanna be alive',
      'dont want to be here anymore', 'dont wanna be here anymore', 'dont want to exist', 'no reason to live',
      'not worth living', 'nothing to live for', 'cant go on', 'overdose', 'jump off a bridge', 'slit my wrists',
      'top myself', 'off myself', 'end myself', 'burn myself', 'burning myself', 'dont want to wake up',
      'dont wanna wake up', 'never wake up', 'tired of living', 'sick of living', 'no point living',
      'no point in living', 'no point being alive']) then 'high'
    when phrase = any (array[
      'hopeless', 'worthless', 'no hope', 'no one cares', 'noone cares', 'nobody cares', 'cant cope', 'cannot cope',
      'cant take it anymore', 'cant do this anymore', 'want to disappear', 'wanna disappear', 'hate myself',
      'hate my life', 'give up on life', 'giving up on life', 'no way out', 'no point in anything', 'no point anymore',
      'everyone hates me']) then 'medium'
  end
$$;
revoke all on function public.risk_tier(text) from public, anon, authenticated;
grant execute on function public.risk_tier(text) to service_role;

-- What holds whoever writes: this app, REST, SQL.
--
--   lead      new → contacted → qualified → nurturing → converted → closed     qualified → converted     open → lost → closed
--             back one step, with a reason: contacted → new, qualified → contacted, nurturing → qualified, converted, lost → nurturing
--   approval  draft → pending → approved → sending → sent, failed     failed → sending, pending, approved, rejected
--             draft, pending → rejected     pending → draft     approved → pending, where its words change
--             draft, pending, approved, failed → cancelled     draft, pending, approved → expired
--
-- Whoever changes an approval has locked its lead before: then nobody waits for somebody who waits for them.

create function re_engine.role() returns text
language sql stable
set search_path = pg_catalog
as $$ select coalesce(nullif(nullif(current_setting('role', true), 'none'), ''), session_user) $$;

-- Of the token; without one, what the server says of itself.
create function re_engine.actor() returns text
language sql stable
set search_path = pg_catalog
as $$
  select coalesce(claims ->> 'sub', claims ->> 'role', nullif(current_setting('tidemark.actor', true), ''), session_user)
    from (select nullif(current_setting('request.jwt.claims', true), '')::jsonb as claims) token
$$;

create function re_engine.stage(status text) returns integer
language sql immutable parallel safe
set search_path = pg_catalog
as $$
  select case status when 'new' then 0 when 'contacted' then 1 when 'qualified' then 2 when 'nurturing' then 3
    when 'converted' then 4 when 'lost' then 4 when 'closed' then 5 end
$$;

create function re_engine.note_event(lead uuid, agent uuid, approval uuid, type text, details jsonb default '{}',
  via text default null, heading text default 'internal', words text default null, told_by text default 'system', told_as text default null)
returns void
language sql security definer
set search_path = pg_catalog
as $$
  insert into public.events (lead_id, agent_id, approval_id, event_type, data, channel, direction, content, source, external_id, actor)
    values (lead, agent, approval, type, details, via, heading, words, told_by, told_as, re_engine.actor())
    on conflict (source, external_id) where external_id is not null do nothing
$$;

-- Leads

create trigger leads_1_states before update of status on public.leads
  for each row execute function tidemark.guard_states('status', '{
    "new": ["contacted", "lost"],
    "contacted": ["qualified", "lost", "new"],
    "qualified": ["nurturing", "converted", "lost", "contacted"],
    "nurturing": ["converted", "lost", "qualified"],
    "converted": ["closed", "nurturing"],
    "lost": ["closed", "nurturing"]
  }');

create function re_engine.lead_before() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  new.email := nullif(lower(btrim(new.email)), '');
  if tidemark.is_move_apply() then
    return new;
  end if;
  if not new.do_not_contact then
    new.contact_block_reason := null;
  else
    new.contact_block_reason := coalesce(new.contact_block_reason, 'dnc');
  end if;
  if tg_op = 'INSERT' then
    new.converted_at := case when new.status = 'converted' then coalesce(new.converted_at, now()) else new.converted_at end;
    return new;
  end if;
  -- An agent may close the door; who asked to be left alone is not asked again by an agent's word.
  if old.do_not_contact and not new.do_not_contact and re_engine.role() = 'authenticated' and not tidemark.is_admin() then
    raise exception 'a block is lifted by admins, and by the lead' using errcode = '42501', table = 'leads', schema = 'public';
  end if;
  new.version := old.version + 1;
  new.status_changed_at := old.status_changed_at;
  new.converted_at := old.converted_at;
  if new.status is distinct from old.status then
    if re_engine.stage(new.status) < re_engine.stage(old.status) and nullif(btrim(new.status_reason), '') is null then
      raise exception 'a lead goes back with a reason' using errcode = '23514', constraint = 'leads_reason', table = 'leads', schema = 'public';
    end if;
    new.status_changed_at := now();
    if new.status = 'converted' then
      new.converted_at := now();
    elsif new.status <> 'closed' then
      new.converted_at := null;
    end if;
  end if;
  return new;
end $$;
create trigger leads_2_before before insert or update on public.leads for each row execute function re_engine.lead_before();
create trigger leads_updated before update on public.leads for each row execute function tidemark.set_updated_at();

create function re_engine.open_leads(agent uuid) returns bigint
language sql stable
set search_path = pg_catalog
as $$
  select count(*) from public.leads where assigned_agent = agent and status in ('new', 'contacted', 'qualified', 'nurturing')
$$;

-- Nobody gets more than they can look after, however many leads come at once: the agent's row is the lock.
create function re_engine.lead_assigned() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  agent public.agents;
begin
  if tidemark.is_move_apply() or new.assigned_agent is null or new.status not in ('new', 'contacted', 'qualified', 'nurturing') then
    return new;
  end if;
  if tg_op = 'UPDATE' and new.assigned_agent is not distinct from old.assigned_agent then
    return new;
  end if;
  select * into agent from public.agents a where a.id = new.assigned_agent for no key update;
  if agent.status is distinct from 'active' then
    raise exception 'the agent takes no leads' using errcode = 'PT409', constraint = 'leads_agent_active', table = 'leads', schema = 'public';
  end if;
  if re_engine.open_leads(agent.id) >= agent.max_active_leads then
    raise exception 'the agent has as many leads as they may' using errcode = 'PT409', constraint = 'leads_agent_load', table = 'leads', schema = 'public';
  end if;
  return new;
end $$;
create trigger leads_3_assigned before insert or update of assigned_agent on public.leads
  for each row execute function re_engine.lead_assigned();

-- Whose turn it is: the active agents with room, one after the other. Null where there is none. Only whoever gets it is held until the lead is there;
-- those who turn out to have no room are let go at once, so that nobody waits for two.
create function re_engine.next_agent(besides uuid default null) returns uuid
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  turn bigint;
  candidate uuid;
begin
  if re_engine.role() in ('authenticated', 'anon') and not tidemark.is_admin() then
    raise exception 'leads are given out by admins' using errcode = '42501';
  end if;
  turn := nextval('re_engine.turn');
  for candidate in
    with able as (
      select a.id, row_number() over (order by a.created_at, a.id) as place, count(*) over () as many
        from public.agents a
       where a.status = 'active' and a.id is distinct from besides and re_engine.open_leads(a.id) < a.max_active_leads)
    select id from able order by (place - turn % many + many) % many
  loop
    begin
      perform from public.agents a where a.id = candidate and a.status = 'active' for no key update;
      if found and re_engine.open_leads(candidate) < (select a.max_active_leads from public.agents a where a.id = candidate) then
        return candidate;
      end if;
      raise exception 'no room' using errcode = 'RE001';
    exception when sqlstate 'RE001' then
      -- The next.
    end;
  end loop;
  return null;
end $$;

create function re_engine.lead_after() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if tidemark.is_move_apply() then
    return null;
  end if;
  if tg_op = 'INSERT' then
    perform re_engine.note_event(new.id, new.assigned_agent, null, 'lead_created', jsonb_build_object('status', new.status, 'source', new.source));
  elsif new.status is distinct from old.status then
    perform re_engine.note_event(new.id, new.assigned_agent, null, 'status_changed',
      jsonb_strip_nulls(jsonb_build_object('from', old.status, 'to', new.status, 'reason', new.status_reason)));
  end if;
  if new.assigned_agent is distinct from (case when tg_op = 'UPDATE' then old.assigned_agent end) then
    perform re_engine.note_event(new.id, new.assigned_agent, null, 'assigned',
      jsonb_build_object('from', case when tg_op = 'UPDATE' then old.assigned_agent end, 'to', new.assigned_agent));
    if tg_op = 'UPDATE' then
      update public.approvals a set agent_id = new.assigned_agent
       where a.lead_id = new.id and a.status in ('draft', 'pending', 'approved', 'failed');
    end if;
  end if;
  if new.do_not_contact is distinct from (case when tg_op = 'UPDATE' then old.do_not_contact else false end) then
    if new.do_not_contact then
      perform re_engine.note_event(new.id, new.assigned_agent, null, 'contact_blocked', jsonb_build_object('reason', new.contact_block_reason));
      update public.approvals a set status = 'cancelled', last_error = 'The lead is not to be contacted.'
       where a.lead_id = new.id and a.status in ('draft', 'pending', 'approved', 'failed');
    else
      perform re_engine.note_event(new.id, new.assigned_agent, null, 'contact_allowed');
    end if;
  end if;
  return null;
end $$;
create trigger leads_after after insert or update on public.leads for each row execute function re_engine.lead_after();

-- Approvals

-- Of the lead itself, and of whoever else has that address. The lead is held, so that no STOP comes in between.
create function re_engine.require_contactable(lead uuid, address text) returns void
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  blocked boolean;
begin
  select l.do_not_contact into blocked from public.leads l where l.id = lead for share;
  if blocked or exists (select from public.leads l where l.do_not_contact and (l.email = lower(address) or l.phone = address)) then
    raise exception 'the lead is not to be contacted' using errcode = 'PT422', constraint = 'approvals_contactable', table = 'approvals', schema = 'public';
  end if;
end $$;

create function re_engine.require_other_approver(author text, editor text) returns void
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if re_engine.actor() in (author, editor) and not (select s.allow_self_approval from re_engine.settings s) then
    raise exception 'who wrote it does not approve it' using errcode = 'PT403', constraint = 'approvals_other_approver', table = 'approvals', schema = 'public';
  end if;
end $$;

create function re_engine.approval_insert() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  new.content_hash := re_engine.content_hash(new.channel, new.draft_to, new.draft_subject, new.draft_text);
  if tidemark.is_move_apply() then
    return new;
  end if;
  if new.status not in ('draft', 'pending') then
    raise exception 'an approval begins as a draft' using errcode = 'PT409', table = 'approvals', schema = 'public';
  end if;
  new.created_by := re_engine.actor();
  new.agent_id := coalesce(new.agent_id, (select l.assigned_agent from public.leads l where l.id = new.lead_id));
  if new.status = 'pending' then
    new.submitted_at := now();
    perform re_engine.require_contactable(new.lead_id, new.draft_to);
  end if;
  return new;
end $$;

create function re_engine.approval_update() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  hash constant text := re_engine.content_hash(new.channel, new.draft_to, new.draft_subject, new.draft_text);
  is_edit constant boolean := hash is distinct from old.content_hash;
begin
  new.content_hash := hash;
  if tidemark.is_move_apply() then
    return new;
  end if;
  if (new.id, new.lead_id, new.channel, new.created_by, new.created_at) is distinct from (old.id, old.lead_id, old.channel, old.created_by, old.created_at) then
    raise exception 'an approval keeps its lead, its channel and its author' using errcode = 'PT409', table = 'approvals', schema = 'public';
  end if;
  if is_edit then
    if old.status not in ('draft', 'pending', 'approved', 'failed') then
      raise exception 'its words are settled' using errcode = 'PT409', table = 'approvals', schema = 'public';
    end if;
    new.edited_by := re_engine.actor();
    new.idempotency_key := gen_random_uuid()::text;
    -- What was approved was something else.
    if new.status in ('approved', 'failed') then
      new.status := 'pending';
    end if;
  end if;
  if new.status is distinct from old.status then
    if not (case old.status
        when 'draft' then new.status in ('pending', 'rejected', 'cancelled', 'expired')
        when 'pending' then new.status in ('approved', 'rejected', 'draft', 'cancelled', 'expired')
        when 'approved' then new.status in ('sending', 'pending', 'cancelled', 'expired')
        when 'sending' then new.status in ('sent', 'failed')
        when 'failed' then new.status in ('sending', 'pending', 'approved', 'rejected', 'cancelled')
        else false end) then
      raise exception 'approvals.status cannot go from % to %', old.status, new.status
        using errcode = 'PT409', table = 'approvals', schema = 'public', column = 'status';
    end if;
    -- People decide; that something went out is for the server to say.
    if new.status in ('sending', 'sent', 'failed', 'expired') and re_engine.role() in ('authenticated', 'anon') then
      raise exception 'the server alone says so' using errcode = '42501', table = 'approvals', schema = 'public';
    end if;
    if new.status in ('pending', 'approved', 'sending') then
      perform re_engine.require_contactable(new.lead_id, new.draft_to);
    end if;
    if new.status in ('pending', 'draft') then
      new.submitted_at := case when new.status = 'pending' then now() end;
      new.approved_by := null;
      new.approved_at := null;
      new.approved_hash := null;
      new.send_requested_at := null;
      new.next_retry_at := null;
      new.retry_count := 0;
      new.last_error := null;
    elsif new.status = 'approved' then
      perform re_engine.require_other_approver(new.created_by, new.edited_by);
      new.approved_by := re_engine.actor();
      new.approved_at := now();
      new.approved_hash := hash;
      new.retry_count := 0;
      new.next_retry_at := null;
      new.send_requested_at := null;
    elsif new.status = 'rejected' then
      new.rejected_by := re_engine.actor();
      new.rejected_at := now();
    elsif new.status = 'sent' then
      new.sent_at := coalesce(new.sent_at, clock_timestamp());
      new.next_retry_at := null;
      new.last_error := null;
    end if;
    if new.status <> 'sending' then
      new.claimed_until := null;
    end if;
  end if;
  new.version := old.version + 1;
  return new;
end $$;
create trigger approvals_1_insert before insert on public.approvals for each row execute function re_engine.approval_insert();
create trigger approvals_1_update before update on public.approvals for each row execute function re_engine.approval_update();
create trigger approvals_updated before update on public.approvals for each row execute function tidemark.set_updated_at();

create function re_engine.approval_after() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if tidemark.is_move_apply() then
    return null;
  end if;
  if tg_op = 'INSERT' then
    perform re_engine.note_event(new.lead_id, new.agent_id, new.id, 'draft_created', via => new.channel);
  elsif new.content_hash is distinct from old.content_hash then
    perform re_engine.note_event(new.lead_id, new.agent_id, new.id, 'edited', via => new.channel);
  end if;
  if new.status is not distinct from (case when tg_op = 'UPDATE' then old.status else 'draft' end) or new.status in ('draft', 'sending') then
    return null;
  end if;
  if new.status = 'sent' then
    -- Once for each message, whatever happens.
    perform re_engine.note_event(new.lead_id, new.agent_id, new.id, 'sent',
      jsonb_strip_nulls(jsonb_build_object('provider_message_id', new.provider_message_id, 'content_hash', new.content_hash)),
      via => new.channel, heading => 'outbound', words => new.draft_text, told_by => 'sender', told_as => new.idempotency_key);
    update public.leads l set last_contacted_at = new.sent_at where l.id = new.lead_id;
  else
    perform re_engine.note_event(new.lead_id, new.agent_id, new.id,
      case new.status when 'pending' then 'submitted' when 'failed' then 'send_failed' else new.status end,
      jsonb_strip_nulls(case new.status
        when 'rejected' then jsonb_build_object('reason', new.rejection_reason)
        when 'failed' then jsonb_build_object('error', new.last_error, 'attempt', new.retry_count)
        when 'approved' then jsonb_build_object('content_hash', new.approved_hash)
        else '{}' end),
      via => new.channel);
  end if;
  return null;
end $$;
create trigger approvals_after after insert or update on public.approvals for each row execute function re_engine.approval_after();

-- Whether messages of that channel wait for the morning.
create function re_engine.is_quiet(channel text, zone text, at timestamptz) returns boolean
language sql stable
set search_path = pg_catalog
as $$
  select channel in ('sms', 'whatsapp', 'telegram', 'phone') and s.quiet_from is not null
     and case when s.quiet_from <= s.quiet_until then clock.at >= s.quiet_from and clock.at < s.quiet_until
              else clock.at >= s.quiet_from or clock.at < s.quiet_until end
    from re_engine.settings s, (select (is_quiet.at at time zone coalesce(zone, 'UTC'))::time as at) clock
$$;

-- Agents, events, settings

create function re_engine.agent_before() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  new.email := lower(btrim(new.email));
  -- A zone that Postgres does not know is refused here, and not in the middle of a night.
  perform now() at time zone new.timezone;
  return new;
end $$;
create trigger agents_1_before before insert or update on public.agents for each row execute function re_engine.agent_before();
create trigger agents_updated before update on public.agents for each row execute function tidemark.set_updated_at();
create trigger settings_updated before update on re_engine.settings for each row execute function tidemark.set_updated_at();

create function re_engine.event_before() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  if not tidemark.is_move_apply() then
    new.actor := coalesce(new.actor, re_engine.actor());
    new.created_at := now();
  end if;
  return new;
end $$;
create trigger events_before before insert on public.events for each row execute function re_engine.event_before();
create trigger events_append_only before update or delete on public.events for each row execute function tidemark.append_only();

create trigger leads_audit after insert or update or delete on public.leads for each row execute function tidemark.audit();
create trigger approvals_audit after insert or update or delete on public.approvals for each row execute function tidemark.audit();
create trigger settings_audit after update on re_engine.settings for each row execute function tidemark.audit();

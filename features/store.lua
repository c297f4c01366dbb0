#!lua name=@LIBRARY@
-- The live engine: read the state as of now, then add the event, in one atomic step.
-- Everything specific to a feature set comes from PLAN; see features/store.py for its fields.
-- A state is one packed list of fixed length. For each span of time it holds the totals as of the
-- last visit, the tile being filled, and the closed tiles in order of time as one packed string,
-- which is opened only when its oldest tile leaves the span: the cost of an event does not grow with
-- the key's history. Facts that come late to a closed tile are listed apart; units of distinct
-- counts and maxima, which move or win, are short lists of (tile, value).
local PLAN = @PLAN@
local PREFIX, STATE_S, MARKER_S = PLAN.prefix, PLAN.state_s, PLAN.marker_s
local DAY, IDLE, CHAIN = PLAN.day, PLAN.idle, PLAN.chain
local RING, PAYERS, HABITUAL, MEMBER = PLAN.ring, PLAN.payers, PLAN.habitual, PLAN.member
local COUNT, SUM, SQUARE, MAX, DISTINCT = 0, 1, 2, 3, 4
local FIRST, LAST, CHAIN_START, CHAIN_CALL = 0, 1, 2, 3
local LIFE_COUNT, LIFE_SUM, LIFE_SQUARE, LIFE_MAX = 4, 5, 6, 7
local TRANSFER, REPORT = 3, 4
local EMPTY = {}
local floor, max, min

local function filed(list, bit, item)
  local found = list[bit] or {}
  list[bit] = found
  found[#found + 1] = item
end

-- Lay out one span: totals of sums, distinct counts and maxima; the open tile; the strings.
local function lay_out(span, place)
  local sums, distincts, maxes = #span.sums, #span.distincts, #span.maxes
  span.total, span.open = place, place + sums + distincts + maxes
  span.width = sums
  span.head = span.open + sums
  span.front, span.closed, span.late = span.head + 1, span.head + 2, span.head + 3
  span.lists = span.head + 4
  span.sums_by, span.distincts_by, span.maxes_by = {}, {}, {}
  for k, item in ipairs(span.sums) do
    filed(span.sums_by, item.bit, { k - 1, item.op, item.value + 1 })
  end
  for k, item in ipairs(span.distincts) do
    local list = span.lists + 2 * (k - 1)
    filed(span.distincts_by, item.bit, { span.total + sums + k - 1, list, item.hold + 1 })
  end
  for k, item in ipairs(span.maxes) do
    local list = span.lists + 2 * (distincts + k - 1)
    filed(span.maxes_by, item.bit, { span.total + sums + distincts + k - 1, list, item.value + 1 })
  end
  span.many = distincts + maxes
  span.first_list_total = span.total + sums
  span.distinct_count = distincts
  return span.lists + 2 * (distincts + maxes)
end

local function lay_out_state(state)
  local place = 2
  state.scalars_by = {}
  for number, item in ipairs(state.scalars) do
    filed(state.scalars_by, item.bit, { number + 1, item.op, item.value + 1, item.link + 2 })
  end
  place = place + #state.scalars
  for _, span in ipairs(state.spans) do place = lay_out(span, place) end
  if state.has_ring then
    state.ring = place
    place = place + 1
  end
  state.size = place - 1
  state.blank = { -1 }
  for k = 2, state.size do state.blank[k] = 0 end
  if state.has_ring then state.blank[state.ring] = '' end
  for _, span in ipairs(state.spans) do
    state.blank[span.head], state.blank[span.front] = -1, -1
    state.blank[span.closed], state.blank[span.late] = '', ''
    for k = 0, span.many - 1 do
      state.blank[span.lists + 2 * k], state.blank[span.lists + 2 * k + 1] = -1, ''
    end
  end
  for _, role in pairs(state.roles) do
    for _, column in ipairs(role.totals) do
      column.place = state.spans[column.span + 1].total + column.item
      column.minus = column.less >= 0 and state.spans[column.less + 1].total + column.less_item
      column.plain = not column.minus and column.hold < 0
    end
  end
end

-- Index the plan. A library has no standard library while it loads, so the first call does this.
local function prepare()
  floor, max, min = math.floor, math.max, math.min
  for _, state in pairs(PLAN.states) do lay_out_state(state) end
end

local function idle(touched, now)
  return touched < 0 or floor(now / DAY) - IDLE > floor(touched / DAY)
end

-- Unpack a state, or begin one, and forget what idleness forgets; tiles expire by themselves.
local function load(state, key, now)
  local raw = server.call('GET', key)
  local flat
  if raw then
    flat = cmsgpack.unpack(raw)
  else
    flat = {}
    local blank = state.blank
    for k = 1, state.size do flat[k] = blank[k] end
  end
  local lapsed = idle(flat[1], now)
  if lapsed then
    for q, item in ipairs(state.scalars) do flat[q + 1] = item.op >= LIFE_COUNT and 0 or -1 end
    if state.ring then flat[state.ring] = '' end
  end
  return { state = state, key = key, flat = flat, idle = lapsed }
end

local function clear_span(span, flat)
  for k = span.total, span.total + span.width - 1 do flat[k] = 0 end
  for k = span.open, span.open + span.width - 1 do flat[k] = 0 end
  flat[span.head], flat[span.front], flat[span.closed], flat[span.late] = -1, -1, '', ''
end

local function pop_closed(span, flat, start)
  local closed, offset, total = flat[span.closed], 0, span.total
  while true do
    local after, tile = cmsgpack.unpack_one(closed, offset)
    if tile[1] >= start then
      flat[span.front], flat[span.closed] = tile[1], string.sub(closed, offset + 1)
      return
    end
    for k = 2, #tile, 2 do flat[total + tile[k]] = flat[total + tile[k]] - tile[k + 1] end
    if after < 0 then
      flat[span.front], flat[span.closed] = -1, ''
      return
    end
    offset = after
  end
end

local function pop_late(span, flat, start)
  local late, kept = cmsgpack.unpack(flat[span.late]), {}
  for k = 1, #late, 3 do
    if late[k] >= start then
      local n = #kept
      kept[n + 1], kept[n + 2], kept[n + 3] = late[k], late[k + 1], late[k + 2]
    else
      local place = span.total + late[k + 1]
      flat[place] = flat[place] - late[k + 2]
    end
  end
  if #kept < #late then flat[span.late] = #kept > 0 and cmsgpack.pack(kept) or '' end
end

local function store_list(flat, list, items)
  if #items == 0 then
    flat[list], flat[list + 1] = -1, ''
    return
  end
  local oldest = items[1]
  for k = 3, #items, 2 do oldest = min(oldest, items[k]) end
  flat[list], flat[list + 1] = oldest, cmsgpack.pack(items)
end

-- Drop what left the span from a list of (tile, value); its total is a sum or a maximum.
local function pop_list(flat, list, total, start, is_sum)
  local items, kept, found = cmsgpack.unpack(flat[list + 1]), {}, 0
  for k = 1, #items, 2 do
    if items[k] >= start then
      local n = #kept
      kept[n + 1], kept[n + 2] = items[k], items[k + 1]
      found = is_sum and found + items[k + 1] or max(found, items[k + 1])
    end
  end
  flat[total] = found
  store_list(flat, list, kept)
end

-- Bring every span's totals to now.
local function expire(old, now)
  local flat = old.flat
  for _, span in ipairs(old.state.spans) do
    local start = floor(now / span.tile) - span.tiles
    span.start = start
    local head, front = flat[span.head], flat[span.front]
    if head >= 0 then
      if head < start then
        clear_span(span, flat)
      else
        if front >= 0 and front < start then pop_closed(span, flat, start) end
        if flat[span.late] ~= '' then pop_late(span, flat, start) end
      end
    end
    for k = 0, span.many - 1 do
      local list = span.lists + 2 * k
      local oldest = flat[list]
      if oldest >= 0 and oldest < start then
        pop_list(flat, list, span.first_list_total + k, start, k < span.distinct_count)
      end
    end
  end
end

-- Close the open tile and begin another.
local function turn(span, flat, tile)
  local head, n = flat[span.head], 1
  local closing = { head }
  for k = 0, span.width - 1 do
    local value = flat[span.open + k]
    if value ~= 0 then
      closing[n + 1], closing[n + 2] = k, value
      n = n + 2
      flat[span.open + k] = 0
    end
  end
  if n > 1 then
    if flat[span.front] < 0 then flat[span.front] = head end
    flat[span.closed] = flat[span.closed] .. cmsgpack.pack(closing)
  end
  flat[span.head] = tile
end

local function add_late(span, flat, tile, k, delta)
  local late = flat[span.late] ~= '' and cmsgpack.unpack(flat[span.late]) or {}
  for j = 1, #late, 3 do
    if late[j] == tile and late[j + 1] == k then
      late[j + 2] = late[j + 2] + delta
      flat[span.late] = cmsgpack.pack(late)
      return
    end
  end
  local n = #late
  late[n + 1], late[n + 2], late[n + 3] = tile, k, delta
  flat[span.late] = cmsgpack.pack(late)
end

local function add_sums(span, flat, items, values, tile)
  for _, item in ipairs(items) do
    local op, delta = item[2], 1
    if op ~= COUNT then
      delta = values[item[3]]
      if op == SQUARE then delta = delta * delta end
    end
    if delta ~= 0 then
      if tile > flat[span.head] then turn(span, flat, tile) end
      local k = item[1]
      flat[span.total + k] = flat[span.total + k] + delta
      if tile == flat[span.head] then
        flat[span.open + k] = flat[span.open + k] + delta
      else
        add_late(span, flat, tile, k, delta)
      end
    end
  end
end

local function shift(items, tile, delta)
  for k = 1, #items, 2 do
    if items[k] == tile then
      items[k + 1] = items[k + 1] + delta
      if items[k + 1] == 0 then
        table.remove(items, k)
        table.remove(items, k)
      end
      return
    end
  end
  local n = #items
  items[n + 1], items[n + 2] = tile, delta
end

-- A pair's one unit stands at its latest time: it moves there, or comes new into the span.
local function add_distincts(span, flat, items, hold, at, tile)
  for _, item in ipairs(items) do
    local before = hold[item[3]]
    if at > before then
      local from = before >= 0 and floor(before / span.tile) or -1
      if from ~= tile then
        local list = item[2]
        local units = flat[list + 1] ~= '' and cmsgpack.unpack(flat[list + 1]) or {}
        if from >= span.start then
          shift(units, from, -1)
        else
          flat[item[1]] = flat[item[1]] + 1
        end
        shift(units, tile, 1)
        store_list(flat, list, units)
      end
    end
  end
end

-- Of maxima only those can matter that no later tile reaches.
local function add_maxes(span, flat, items, values, tile)
  for _, item in ipairs(items) do
    local value, list = values[item[3]], item[2]
    local peaks = flat[list + 1] ~= '' and cmsgpack.unpack(flat[list + 1]) or {}
    local kept, beaten = {}, false
    for k = 1, #peaks, 2 do
      if peaks[k] >= tile and peaks[k + 1] >= value then beaten = true end
      if peaks[k] > tile or peaks[k + 1] > value then
        local n = #kept
        kept[n + 1], kept[n + 2] = peaks[k], peaks[k + 1]
      end
    end
    if not beaten then
      local n = #kept
      kept[n + 1], kept[n + 2] = tile, value
      flat[item[1]] = max(flat[item[1]], value)
      store_list(flat, list, kept)
    end
  end
end

local function add(old, event, at, hold)
  local flat, values, streams = old.flat, event.values, event.streams
  for _, span in ipairs(old.state.spans) do
    local tile = floor(at / span.tile)
    if tile >= span.start then
      local sums, distincts, maxes = span.sums_by, span.distincts_by, span.maxes_by
      for s = 1, #streams do
        local stream = streams[s]
        local items = sums[stream]
        if items then add_sums(span, flat, items, values, tile) end
        items = distincts[stream]
        if items then add_distincts(span, flat, items, hold, at, tile) end
        items = maxes[stream]
        if items then add_maxes(span, flat, items, values, tile) end
      end
    end
  end
end

-- Lay a role's numbers out: totals (less the shorter span, less oneself), then scalars.
local function hand_out(old, role, now, hold, reply)
  local flat = old.flat
  local columns = old.state.roles[role]
  local n = #reply
  for _, column in ipairs(columns.totals) do
    local value = flat[column.place]
    if not column.plain then
      if column.minus then value = value - flat[column.minus] end
      local before = column.hold >= 0 and hold[column.hold + 1] or -1
      if before >= 0 and floor(before / column.tile) >= floor(now / column.tile) - column.tiles then
        value = value - 1
      end
    end
    n = n + 1
    reply[n] = value
  end
  for _, q in ipairs(columns.marks) do
    n = n + 1
    reply[n] = flat[q + 2]
  end
end

-- Keep first, last, the chain of app then call, and the totals of the key's life.
local function note(old, event, at)
  local flat, values = old.flat, event.values
  for _, stream in ipairs(event.streams) do
    for _, item in ipairs(old.state.scalars_by[stream] or EMPTY) do
      local q, op = item[1], item[2]
      local value = flat[q]
      if op == FIRST then
        flat[q] = value < 0 and at or min(value, at)
      elseif op == LAST then
        flat[q] = max(value, at)
      elseif op == CHAIN_START or op == CHAIN_CALL then
        local app = flat[item[4]]
        if app >= 0 and at >= app and at - app <= CHAIN then
          flat[q] = op == CHAIN_START and app or at
        end
      elseif op == LIFE_COUNT then
        flat[q] = value + 1
      elseif op == LIFE_SUM then
        flat[q] = value + values[item[3]]
      elseif op == LIFE_SQUARE then
        flat[q] = value + values[item[3]] * values[item[3]]
      else
        flat[q] = max(value, values[item[3]])
      end
    end
  end
end

-- Read for a role (or none), then add the event (or nothing) and write the state back.
local function visit(old, now, at, role, reply, hold, event)
  expire(old, now)
  if role then hand_out(old, role, now, hold, reply) end
  if event then
    add(old, event, at, hold)
    note(old, event, at)
    if event.touches then old.flat[1] = now end
    server.call('SET', old.key, cmsgpack.pack(old.flat), 'EX', STATE_S)
  end
end

local function zeros(reply, count)
  local n = #reply
  for k = 1, count do reply[n + k] = 0 end
end

-- The moments a relation's units stand at, for distinct counts.
local function held(old, related)
  local hold = {}
  for d, q in ipairs(related) do hold[d] = old.flat[q + 2] end
  return hold
end

local function active(streams, circumstances)
  local found = {}
  for _, stream in ipairs(streams) do
    local asked = PLAN.circumstances[stream + 1]
    if asked == '' or circumstances[asked] then found[#found + 1] = stream end
  end
  return found
end

local function ring_of(subject)
  local packed = subject.flat[subject.state.ring]
  return packed ~= '' and cmsgpack.unpack(packed) or EMPTY
end

local function members_of(ring, now)
  local found = {}
  for k = 1, #ring, 2 do
    if now - ring[k + 1] <= MEMBER then found[#found + 1] = ring[k] end
  end
  return found
end

local function entered(ring, counterpart, at)
  local found, time = {}, at
  for k = 1, #ring, 2 do
    if ring[k] == counterpart then
      time = max(time, ring[k + 1])
    else
      found[#found + 1] = ring[k]
      found[#found + 1] = ring[k + 1]
    end
  end
  if #found >= 2 * RING then
    table.remove(found, 1)
    table.remove(found, 1)
  end
  found[#found + 1] = counterpart
  found[#found + 1] = time
  return found
end

-- A link: touched, then the first payers known. Returns how many others there are.
local function join_link(key, subscriber, now, joins)
  local raw = server.call('GET', key)
  local flat = raw and cmsgpack.unpack(raw) or { -1 }
  if idle(flat[1], now) then flat = { -1 } end
  local others, known = 0, false
  for k = 2, #flat do
    if flat[k] == subscriber then known = true else others = others + 1 end
  end
  if joins then
    flat[1] = now
    if not known and #flat - 1 < PAYERS then flat[#flat + 1] = subscriber end
    server.call('SET', key, cmsgpack.pack(flat), 'EX', STATE_S)
  end
  return others
end

local function reach_of(streams)
  for _, stream in ipairs(streams) do
    if PLAN.reach[tostring(stream)] then return true end
  end
  return false
end

local function link_members(e, subject, habitual)
  local found = { contacts = 0, others = 0, followed = 0, followed_shared = 0, reports = 0 }
  local counterpart, pair = PLAN.states.counterpart, PLAN.states.pair
  local members = members_of(ring_of(subject), e.now)
  found.contacts = #members
  for _, member in ipairs(members) do
    local others = join_link(
      PREFIX .. 'l:' .. member .. '|' .. e.counterpart, e.subscriber, e.now, not habitual)
    local both = load(pair, PREFIX .. 'p:' .. e.subscriber .. '|' .. member, e.now)
    local hold = held(both, PLAN.related.pair)
    local streams = {}
    if not habitual then
      streams = others > 0 and PLAN.follow_shared or PLAN.follow
    end
    local it = load(counterpart, PREFIX .. 'c:' .. member, e.now)
    local reply, event = {}, nil
    if not habitual then event = { streams = streams, values = e.values } end
    visit(it, e.now, e.at, 'member', reply, hold, event)
    if not habitual then
      visit(both, e.now, e.at, nil, nil, hold, { streams = streams, values = e.values })
    end
    found.others = max(found.others, others)
    found.followed = max(found.followed, reply[1])
    found.followed_shared = max(found.followed_shared, reply[2])
    found.reports = max(found.reports, reply[3])
  end
  return found
end

local function surprise_of(subject, amount)
  local count = subject.flat[PLAN.life_count + 2]
  local total = subject.flat[PLAN.life_sum + 2]
  local mean = count > 0 and floor(total / count) or 0
  local percent = mean > 0 and floor(100 * amount / mean) or PLAN.no_habit
  return min(percent, PLAN.surprise_cap)
end

local function parse(args)
  local e = {
    known = tonumber(args[1]), occurred = tonumber(args[2]), kind = tonumber(args[3]),
    id = args[4], subscriber = args[6], counterpart = args[7], account = args[8],
    payee = args[9], device = args[10], named = {},
    values = { 0, tonumber(args[11]), tonumber(args[12]), tonumber(args[13]), 0 },
    streams = { string.byte(args[5], 1, -1) },
  }
  for k = 14, #args do e.named[#e.named + 1] = args[k] end
  return e
end

local function reply_with(ints, repeated)
  local head = { repeated }
  for k = 1, #ints do head[k + 1] = ints[k] end
  return struct.pack('<' .. string.rep('d', #head), unpack(head))
end

local function observe_report(e)
  local none = {}
  for d = 1, #PLAN.related.pair do none[d] = -1 end
  local event = { streams = e.active, values = e.values, touches = true }
  if PLAN.states.subscriber then
    visit(load(PLAN.states.subscriber, PREFIX .. 's:' .. e.subscriber, e.now), e.now, e.at, nil, nil, none, event)
  end
  if PLAN.states.counterpart then
    for _, name in ipairs(e.named) do
      visit(load(PLAN.states.counterpart, PREFIX .. 'c:' .. name, e.now), e.now, e.at, nil, nil, none, event)
    end
  end
end

local function observe_fact(e, ints)
  local states, now, at = PLAN.states, e.now, e.at
  local has = e.counterpart ~= ''
  local pair = states.pair and has and load(states.pair, PREFIX .. 'p:' .. e.subscriber .. '|' .. e.counterpart, now)
  local holding = states.holding and e.device ~= ''
    and load(states.holding, PREFIX .. 'h:' .. e.subscriber .. '|' .. e.device, now)
  local subject = states.subscriber and load(states.subscriber, PREFIX .. 's:' .. e.subscriber, now)
  local transfer = e.kind == TRANSFER
  local surprise = -1
  if transfer and PLAN.needs.surprise then
    surprise = surprise_of(subject, e.values[2])
    e.values[5] = surprise
  end
  local first = pair and PLAN.pair_first >= 0 and pair.flat[PLAN.pair_first + 2] or -1
  local habitual = first >= 0 and now - first > HABITUAL
  local link = nil
  if transfer and has and PLAN.needs.links then link = link_members(e, subject, habitual) end
  e.active = active(e.streams, {
    new = pair and pair.idle,
    new_device = holding and holding.idle,
    unusual = surprise >= PLAN.unusual,
    shared = link and link.others > 0 and not habitual,
  })
  ints[#ints + 1] = surprise
  ints[#ints + 1] = pair and (pair.idle and 1 or 0) or -1
  ints[#ints + 1] = holding and (holding.idle and 1 or 0) or -1
  for _, field in ipairs(PLAN.link_fields) do ints[#ints + 1] = link and link[field] or -1 end

  local none = {}
  local hold = pair and held(pair, PLAN.related.pair) or none
  local event = { streams = e.active, values = e.values, touches = true }
  if pair then
    visit(pair, now, at, PLAN.roles.pair and 'pair', ints, hold, event)
  elseif PLAN.roles.pair then
    zeros(ints, PLAN.roles.pair)
  end
  local owner = holding and held(holding, PLAN.related.holding) or none
  if holding then visit(holding, now, at, nil, nil, owner, event) end
  if subject then
    if PLAN.needs.links and has and not habitual and reach_of(e.active) then
      local ring = entered(ring_of(subject), e.counterpart, at)
      subject.flat[subject.state.ring] = cmsgpack.pack(ring)
    end
    visit(subject, now, at, PLAN.roles.subscriber and 'subscriber', ints, hold, event)
  end
  if states.counterpart and has then
    visit(load(states.counterpart, PREFIX .. 'c:' .. e.counterpart, now), now, at,
      PLAN.roles.counterpart and 'counterpart', ints, hold, event)
  elseif PLAN.roles.counterpart then
    zeros(ints, PLAN.roles.counterpart)
  end
  if PLAN.roles.payee_account then
    if e.payee ~= '' then
      visit(load(states.account, PREFIX .. 'a:' .. e.payee, now), now, at, 'payee_account', ints, none, nil)
    else
      zeros(ints, PLAN.roles.payee_account)
    end
  end
  if states.account and e.account ~= '' then
    visit(load(states.account, PREFIX .. 'a:' .. e.account, now), now, at,
      PLAN.roles.account and 'account', ints, none, event)
  elseif PLAN.roles.account then
    zeros(ints, PLAN.roles.account)
  end
  if states.device and e.device ~= '' then
    visit(load(states.device, PREFIX .. 'd:' .. e.device, now), now, at,
      PLAN.roles.device and 'device', ints, owner, event)
  elseif PLAN.roles.device then
    zeros(ints, PLAN.roles.device)
  end
end

local function observe(_, args)
  if not floor then prepare() end
  local e = parse(args)
  local marker = PREFIX .. 'e:' .. e.id
  local seen = server.call('GET', marker)
  if seen then return reply_with(cmsgpack.unpack(seen), 1) end
  local last, latest = string.match(server.call('GET', PREFIX .. 'clock') or '-1 0', '(%S+) (%S+)')
  local seq = tonumber(last) + 1
  e.now = max(tonumber(latest), e.known)
  e.at = e.kind == REPORT and e.now or min(e.occurred, e.now)
  local ints = { seq, e.now }
  if e.kind == REPORT then
    e.active = e.streams
    observe_report(e)
  else
    observe_fact(e, ints)
  end
  server.call('SET', PREFIX .. 'clock', string.format('%.0f %.0f', seq, e.now))
  server.call('SET', marker, cmsgpack.pack(ints), 'EX', MARKER_S)
  return reply_with(ints, 0)
end

local function read(_, args)
  if not floor then prepare() end
  local now, ints = tonumber(args[2]), {}
  local subject = load(PLAN.states.subscriber, PREFIX .. 's:' .. args[1], now)
  visit(subject, now, now, 'subscriber', ints, {}, nil)
  return struct.pack('<' .. string.rep('d', #ints), unpack(ints))
end

server.register_function('@LIBRARY@_observe', observe)
server.register_function { function_name = '@LIBRARY@_read', callback = read, flags = { 'no-writes' } }

-- A scratch buffer with the findings, and the runs with their processes; refreshed while visible.

local client = require('linnix.client')
local text = require('linnix.text')

local M = {}

local INTERVAL_MS = 1000
local MIN_FOLDED = 3
local MAX_ROWS = 5000
local MAX_DEPTH = 40
local NAME = 'linnix://tree'

local buffer
local timer
local rows = {}
local processes = {}
local problem
local toggled = {} -- keys of rows that are not as they would be by themselves
local is_asking = false

local function key(process) return process and ('%d %d'):format(process.pid, process.start_ticks) end

local function place(finding)
  local location = text.given(finding.location)
  if not location then return '(no file of yours)' end
  return ('%s:%d'):format(text.plain(vim.fn.fnamemodify(location.path, ':~:.'), 80), location.line)
end

local function end_of(process)
  if not process.has_ended then return '' end
  if text.given(process.term_signal) then return ('  signal %d'):format(process.term_signal) end
  local code = text.given(process.exit_code)
  return code and ('  exit %d'):format(code) or '  ended'
end

-- From the flat list to a forest of nodes { process, key, children, cores, n, accused }.
local function forest(listed)
  local nodes, tops = {}, {}
  for _, process in ipairs(listed) do
    local id = key(process)
    nodes[id] = { process = process, key = id, children = {} }
  end
  for _, process in ipairs(listed) do
    local node = nodes[key(process)]
    local run = key(text.given(process.run))
    local parent = nodes[key(text.given(process.parent)) or '']
    local ids = text.given(process.finding_ids) or {}
    if parent and parent ~= node and run and key(text.given(parent.process.run)) == run then
      table.insert(parent.children, node)
    elseif run or #ids > 0 then
      table.insert(tops, node) -- what is above any run is nobody's news
    end
  end
  local function sum(node, depth)
    node.cores = node.process.has_ended and 0 or text.given(node.process.on_cpu_cores) or 0
    node.accused = #(text.given(node.process.finding_ids) or {}) > 0
    node.n = 1
    table.sort(node.children, function(a, b) return a.process.pid < b.process.pid end)
    for _, child in ipairs(depth < 10000 and node.children or {}) do
      sum(child, depth + 1)
      node.cores, node.n = node.cores + child.cores, node.n + child.n
      node.accused = node.accused or child.accused
    end
  end
  table.sort(tops, function(a, b) return a.process.age_s < b.process.age_s end) -- newest first
  for _, top in ipairs(tops) do
    sum(top, 0)
  end
  return tops
end

-- Children with the same name come together, unless something in them is accused.
local function grouped(parent)
  local groups, by_name = {}, {}
  for _, child in ipairs(parent.children) do
    local name = child.process.comm
    local group = not child.accused and by_name[name]
    if group then
      table.insert(group, child)
    else
      group = { child }
      table.insert(groups, group)
      if not child.accused then by_name[name] = group end
    end
  end
  return groups
end

-- What is worth a word beside CPU and age: memory, children started, a state out of the ordinary.
local function measures_of(process)
  local said = ''
  local rss_bytes = text.given(process.rss_bytes)
  if rss_bytes then said = said .. ('  %.0f MB'):format(rss_bytes / 1e6) end
  local n_forks = text.given(process.n_forks) or 0
  if n_forks > 0 then said = said .. ('  %d forks'):format(n_forks) end
  local state = text.given(process.state)
  if state == 'stopped' or state == 'uninterruptible' or state == 'zombie' then
    said = said .. '  ' .. state
  end
  return said
end

-- The rows to show: { text, key, process, finding_id, can_toggle }.
function M.build(listed, findings, changed)
  local made = {}
  local function add(depth, words, row)
    row.text = ('  '):rep(math.min(depth, MAX_DEPTH)) .. words
    table.insert(made, row)
  end

  local open = {}
  for _, finding in pairs(findings) do
    table.insert(open, finding)
  end
  table.sort(open, function(a, b)
    if a.state ~= b.state then return a.state == 'raised' end
    if a.flagged_at ~= b.flagged_at then return a.flagged_at > b.flagged_at end
    return a.id < b.id
  end)
  add(0, ('Findings (%d)'):format(#open), { key = 'findings' })
  for _, finding in ipairs(open) do
    add(1, ('%s %s  %s  %s (pid %d)%s'):format(
      finding.state == 'raised' and '●' or '○', text.plain(finding.kind, 40), place(finding),
      text.plain(finding.process.comm, 40), finding.process.pid,
      finding.state == 'raised' and '' or '  ended'),
      { key = 'finding ' .. finding.id, finding_id = finding.id })
  end

  local function walk(node, depth)
    local process = node.process
    local ids = text.given(process.finding_ids) or {}
    local is_closed = #node.children > 0 and changed[node.key]
    local marker = #node.children == 0 and '  ' or is_closed and '▸ ' or '▾ '
    add(depth, ('%s%s%s %d  %.2f cores%s  %s%s  %s'):format(
      marker, #ids > 0 and '● ' or '', text.plain(process.comm, 40), process.pid,
      text.given(process.on_cpu_cores) or 0, measures_of(process),
      text.duration(text.given(process.age_s) or 0),
      end_of(process), text.plain(table.concat(text.given(process.argv) or {}, ' '), 120)),
      { key = node.key, process = process, finding_id = ids[1], can_toggle = #node.children > 0 })
    if is_closed then return end
    for _, group in ipairs(grouped(node)) do
      local first = group[1]
      local fold = ('%s × %s'):format(node.key, text.plain(first.process.comm, 40))
      local is_fold = #group >= MIN_FOLDED
      if is_fold then
        local cores, n = 0, 0
        for _, child in ipairs(group) do
          cores, n = cores + child.cores, n + child.n
        end
        local more = n > #group and ('  (%d processes)'):format(n) or ''
        add(depth + 1, ('%s%d × %s  %.2f cores%s'):format(
          changed[fold] and '▾ ' or '▸ ', #group, text.plain(first.process.comm, 40), cores, more),
          { key = fold, can_toggle = true })
      end
      if not is_fold or changed[fold] then
        for _, child in ipairs(group) do
          if #made > MAX_ROWS then return end
          walk(child, depth + (is_fold and 2 or 1))
        end
      end
    end
  end

  local tops = forest(listed)
  add(0, '', { key = 'gap' })
  add(0, ('Runs (%d)'):format(#tops), { key = 'runs' })
  for _, top in ipairs(tops) do
    if #made <= MAX_ROWS then walk(top, 1) end
  end
  if #made > MAX_ROWS then add(0, '… and more', { key = 'more' }) end
  return made
end

local function is_valid() return buffer and vim.api.nvim_buf_is_valid(buffer) end

local function windows() return is_valid() and vim.fn.win_findbuf(buffer) or {} end

local function draw()
  if not is_valid() then return end
  local under_cursor = {}
  for _, window in ipairs(windows()) do
    local row = rows[vim.api.nvim_win_get_cursor(window)[1]]
    under_cursor[window] = row and row.key
  end
  rows = M.build(processes, client.findings, toggled)
  local lines = vim.tbl_map(function(row) return row.text end, rows)
  if problem then table.insert(lines, text.plain(problem)) end
  local before = vim.api.nvim_buf_get_lines(buffer, 0, -1, false)
  if not vim.deep_equal(before, lines) then
    vim.bo[buffer].modifiable = true
    vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
    vim.bo[buffer].modifiable = false
  end
  for window, wanted in pairs(under_cursor) do
    for n, row in ipairs(rows) do
      if row.key == wanted then
        local column = vim.api.nvim_win_get_cursor(window)[2]
        vim.api.nvim_win_set_cursor(window, { n, column })
        break
      end
    end
  end
end

function M.refresh()
  if is_asking or #windows() == 0 then return end
  is_asking = true
  client.request('linnix/processTree', nil, function(tree, failure)
    is_asking = false
    processes = tree and tree.processes or {}
    problem = failure
    draw()
  end)
end

local function row_here() return rows[vim.fn.line('.')] or {} end

function M.finding_here() return client.findings[row_here().finding_id or ''] end

-- Go to the line of a finding, in a window that shows files.
function M.jump(finding)
  local location = text.given(finding.location)
  if not location then
    vim.notify('linnix: no file of yours is involved')
    return
  end
  local target
  local windows_here = vim.api.nvim_tabpage_list_wins(0)
  table.insert(windows_here, 1, vim.fn.win_getid(vim.fn.winnr('#')))
  for _, window in ipairs(windows_here) do
    if window ~= 0 and vim.bo[vim.api.nvim_win_get_buf(window)].buftype == '' then
      target = window
      break
    end
  end
  if not target then
    vim.cmd('leftabove vsplit')
    target = vim.api.nvim_get_current_win()
  end
  -- By number and not by :edit, to which a name can mean something else.
  local file = client.buffer_of(finding) or vim.fn.bufadd(location.path)
  vim.bo[file].buflisted = true
  vim.fn.bufload(file)
  vim.api.nvim_set_current_win(target)
  vim.cmd("normal! m'")
  vim.api.nvim_win_set_buf(target, file)
  local line = math.min(client.line_of(finding, file) + 1, vim.api.nvim_buf_line_count(file))
  vim.api.nvim_win_set_cursor(target, { math.max(1, line), 0 })
  vim.cmd('normal! ^')
end

local function toggle()
  local row = row_here()
  if row.can_toggle then
    toggled[row.key] = not toggled[row.key] or nil
    draw()
  end
end

local actions = {
  ['<CR>'] = function()
    local finding = M.finding_here()
    if finding then M.jump(finding) else toggle() end
  end,
  ['<Tab>'] = toggle,
  x = function()
    if not M.finding_here() and row_here().process then
      vim.notify('linnix: only what runs away is stopped from here')
      return
    end
    require('linnix').stop()
  end,
  d = function() require('linnix').dismiss() end,
  K = function() require('linnix').explain() end,
  q = function() vim.cmd('close') end,
}

-- What the keys of the buffer do.
function M.act(lhs) actions[lhs]() end

local function stop_timer()
  if timer then
    timer:stop()
    timer:close()
    timer = nil
  end
end

local function make_buffer()
  buffer = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_name(buffer, NAME)
  vim.bo[buffer].bufhidden = 'wipe'
  vim.bo[buffer].filetype = 'linnix'
  vim.bo[buffer].modifiable = false
  for lhs in pairs(actions) do
    local rhs = ([[<Cmd>lua require('linnix.tree').act('%s')<CR>]]):format(lhs:gsub('<', '<lt>'))
    vim.api.nvim_buf_set_keymap(buffer, 'n', lhs, rhs, { nowait = true, silent = true })
  end
  vim.api.nvim_create_autocmd('BufWipeout', { buffer = buffer, callback = stop_timer })
  timer = vim.loop.new_timer()
  timer:start(INTERVAL_MS, INTERVAL_MS, vim.schedule_wrap(function()
    if timer then M.refresh() end
  end))
end

function M.open()
  local open = windows()[1]
  if open then
    vim.api.nvim_set_current_win(open)
    return
  end
  make_buffer()
  vim.cmd('botright 15split')
  vim.api.nvim_win_set_buf(0, buffer)
  vim.wo.wrap = false
  vim.wo.number = false
  vim.wo.cursorline = true
  draw()
  M.refresh()
end

local is_listening = false

function M.setup()
  if is_listening then return end
  is_listening = true
  client.listen({
    changed = draw,
    lost = function()
      is_asking = false
      processes = {}
    end,
  })
end

return M

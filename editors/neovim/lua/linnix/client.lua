-- The connection to the server, and what it has told: findings and status.
--
-- One server for the whole Neovim. Papers over what has changed in vim.lsp since 0.7; not here:
-- anything that is shown.

local text = require('linnix.text')

local M = {
  findings = {}, -- by id, as linnix/didChangeFindings has them
  status = nil, -- as linnix/didChangeStatus has it
}

local MAX_RESTARTS = 5
local STABLE_AFTER_S = 60
local config
local client_id
local n_restarts = 0
local started_at = 0
local is_missing_told = false
local is_stopping = false
local listeners = {}

local function tell(event, ...)
  for _, listener in ipairs(listeners) do
    if listener[event] then listener[event](...) end
  end
end

-- `listener.changed(ids)`: these findings are new, different or gone; `listener.status()`;
-- `listener.note(finding_id, note)`: what there is of it so far; `listener.lost()`: what was asked
-- will not be answered; `listener.lenses()`: code lenses are to be asked for again.
function M.listen(listener) table.insert(listeners, listener) end

local function get() return client_id and vim.lsp.get_client_by_id(client_id) end

function M.is_running() return get() ~= nil end

-- Whether the server can be asked about the buffer already.
function M.is_attached(buffer)
  local client = get()
  return client and client.initialized and vim.lsp.buf_is_attached(buffer, client_id)
end

local function root_of(path)
  local git = vim.fn.finddir('.git', vim.fn.escape(vim.fn.fnamemodify(path, ':p:h'), ' ;,') .. ';')
  return git ~= '' and vim.fn.fnamemodify(git, ':p:h:h') or vim.fn.getcwd()
end

local function on_findings(_, news)
  if type(news) ~= 'table' then return end
  local ids = {}
  for _, finding in ipairs(text.given(news.findings) or {}) do
    M.findings[finding.id] = finding
    table.insert(ids, finding.id)
  end
  for _, id in ipairs(text.given(news.removed) or {}) do
    M.findings[id] = nil
    table.insert(ids, id)
  end
  tell('changed', ids)
end

local function on_status(_, status)
  M.status = status
  tell('status')
end

local function on_lenses()
  tell('lenses')
  return vim.NIL
end

local function forget()
  client_id = nil
  local ids = vim.tbl_keys(M.findings)
  M.findings, M.status = {}, nil
  tell('lost')
  tell('changed', ids)
  tell('status')
end

local function on_exit(code, signal)
  vim.schedule(function()
    forget()
    if is_stopping or vim.v.exiting ~= vim.NIL or (code == 0 and signal == 0) then return end
    if text.now() - started_at > STABLE_AFTER_S then n_restarts = 0 end
    n_restarts = n_restarts + 1
    if n_restarts > MAX_RESTARTS then
      vim.notify('linnix: the server keeps ending; :LinnixRestart', vim.log.levels.WARN)
    else
      vim.defer_fn(M.start, 1000 * n_restarts)
    end
  end)
end

local function start_for(path)
  if vim.fn.executable(config.cmd[1]) == 0 then
    if not is_missing_told then
      vim.notify(('linnix: there is no %s'):format(config.cmd[1]), vim.log.levels.WARN)
    end
    is_missing_told = true
    return nil
  end
  started_at = text.now()
  local root = config.root_dir
  if type(root) == 'function' then root = root(path) end
  root = root or root_of(path)
  local capabilities = vim.lsp.protocol.make_client_capabilities()
  capabilities.workspace.codeLens = { refreshSupport = true }
  capabilities.workspace.configuration = true -- 0.7 has it, and does not say so
  local options = {
    name = 'linnix',
    capabilities = capabilities,
    cmd = config.cmd,
    root_dir = root,
    workspace_folders = { { uri = vim.uri_from_fname(root), name = root } },
    settings = { linnix = config.settings },
    handlers = {
      ['linnix/didChangeFindings'] = on_findings,
      ['linnix/didChangeStatus'] = on_status,
      ['workspace/codeLens/refresh'] = on_lenses,
      ['linnix/noteProgress'] = function(_, progress)
        tell('note', progress.finding_id, progress.text)
      end,
    },
    on_exit = on_exit,
  }
  if vim.fn.has('nvim-0.11') == 1 then
    return vim.lsp.start(options, { attach = false })
  end
  return vim.lsp.start_client(options)
end

local function is_file(buffer)
  return vim.api.nvim_buf_is_loaded(buffer)
    and vim.bo[buffer].buftype == ''
    and vim.api.nvim_buf_get_name(buffer) ~= ''
end

-- Have the server know the buffer, and start it for the first one.
function M.attach(buffer)
  if not config or is_stopping or not is_file(buffer) then return end
  if not client_id then client_id = start_for(vim.api.nvim_buf_get_name(buffer)) end
  if client_id then vim.lsp.buf_attach_client(buffer, client_id) end
end

function M.start()
  is_stopping = false
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    M.attach(buffer)
  end
end

function M.restart()
  if not config then return end
  is_stopping = true
  n_restarts = 0
  is_missing_told = false
  if client_id then vim.lsp.stop_client(client_id) end
  vim.wait(3000, function() return client_id == nil end, 20)
  if client_id then
    vim.lsp.stop_client(client_id, true)
    forget()
  end
  M.start()
end

-- `done(result, problem)`, in the main loop; the problem in words.
function M.request(method, params, done)
  local client = get()
  if not client then
    done(nil, 'linnix is not running; :LinnixRestart')
    return
  end
  local function answered(problem, result)
    done(text.given(result), problem and text.plain(problem.message or problem) or nil)
  end
  if vim.fn.has('nvim-0.11') == 1 then
    client:request(method, params, answered)
  else
    client.request(method, params, answered)
  end
end

function M.execute(command, argument, done)
  M.request('workspace/executeCommand', { command = command, arguments = { argument } }, done)
end

-- Those that run away now, the newest last.
function M.running()
  local found = {}
  for _, finding in pairs(M.findings) do
    if finding.state == 'raised' then table.insert(found, finding) end
  end
  table.sort(found, function(a, b)
    if a.flagged_at == b.flagged_at then return a.id < b.id end
    return a.flagged_at < b.flagged_at
  end)
  return found
end

-- The loaded buffer of the file that a finding is in, or nil.
function M.buffer_of(finding)
  local location = text.given(finding.location)
  local uri = location and text.given(location.uri)
  if not uri or not uri:match('^file:') then return nil end
  local path = vim.loop.fs_realpath(vim.uri_to_fname(uri))
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    if path and is_file(buffer) then
      if vim.loop.fs_realpath(vim.api.nvim_buf_get_name(buffer)) == path then return buffer end
    end
  end
end

-- The line of a finding in its buffer, which counts from 0: where edits have moved it to.
function M.line_of(finding, buffer)
  for _, diagnostic in ipairs(vim.diagnostic.get(buffer)) do
    local lsp = (diagnostic.user_data or {}).lsp
    local data = lsp and text.given(lsp.data)
    if diagnostic.source == 'linnix' and data and data.finding_id == finding.id then
      return diagnostic.lnum
    end
  end
  return finding.location.line - 1
end

-- The findings in the line of the cursor, else those that run away anywhere.
function M.at_cursor()
  local buffer, line = vim.api.nvim_get_current_buf(), vim.fn.line('.') - 1
  local found = {}
  for _, finding in pairs(M.findings) do
    if M.buffer_of(finding) == buffer then
      local first = M.line_of(finding, buffer)
      local last = text.given(finding.location.end_line) or finding.location.line
      if first <= line and line <= first + last - finding.location.line then
        table.insert(found, finding)
      end
    end
  end
  return #found > 0 and found or M.running()
end

function M.setup(options)
  config = options
  n_restarts = 0
  is_missing_told = false
  M.start()
end

return M

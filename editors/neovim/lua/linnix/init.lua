-- linnix-ls in Neovim: what users call. See :help linnix.

local client = require('linnix.client')
local marks = require('linnix.marks')
local probes = require('linnix.probes')
local text = require('linnix.text')
local tree = require('linnix.tree')
local window = require('linnix.window')

local M = {}

local DEFAULTS = {
  cmd = { 'linnix-ls' },
  root_dir = nil, -- a path, or a function from the first file's path to one
  settings = {}, -- as in docs/lsp.md, without "linnix." before them
  virtual_text = true,
}

local function say(words, level) vim.notify('linnix: ' .. words, level or vim.log.levels.INFO) end

local function complain(problem) say(problem, vim.log.levels.WARN) end

-- The finding that is meant: the row's in the tree, the line's in a file, or one that is chosen.
local function with_finding(act)
  if vim.bo.filetype == 'linnix' then
    local finding = tree.finding_here()
    if finding then act(finding) else say('no finding in this line') end
    return
  end
  local found = client.at_cursor()
  if #found == 0 then
    say('nothing runs away')
  elseif #found == 1 then
    act(found[1])
  else
    vim.ui.select(found, {
      prompt = 'Which one?',
      format_item = function(finding)
        local said = text.given(finding.explanation)
        return ('%s, pid %d: %s'):format(text.plain(finding.kind, 40), finding.process.pid,
          text.plain(said and said.summary or finding.process.comm, 120))
      end,
    }, function(finding)
      if finding then act(finding) end
    end)
  end
end

function M.setup(options)
  options = vim.tbl_deep_extend('force', DEFAULTS, options or {})
  if vim.tbl_isempty(options.settings) then options.settings = vim.empty_dict() end
  local group = vim.api.nvim_create_augroup('linnix', {})
  vim.api.nvim_create_autocmd({ 'BufReadPost', 'BufNewFile' }, {
    group = group,
    callback = function(event)
      client.attach(event.buf)
      if options.virtual_text then marks.draw() end
    end,
  })
  if options.virtual_text then marks.setup() end
  probes.setup()
  tree.setup()
  window.setup()
  client.setup(options)
end

function M.tree() tree.open() end

function M.explain() with_finding(window.explain) end

-- The server asks before it does it.
function M.stop()
  with_finding(function(finding)
    client.execute('linnix.stopProcess', { finding_id = finding.id }, function(result, problem)
      if problem then return complain(problem) end
      local outcome = result and text.plain(result.outcome):gsub('_', ' ') or 'not done'
      say(('process %d: %s'):format(finding.process.pid, outcome))
    end)
  end)
end

function M.dismiss()
  with_finding(function(finding)
    client.execute('linnix.dismiss', { finding_id = finding.id }, function(_, problem)
      if problem then complain(problem) end
    end)
  end)
end

function M.jump() with_finding(tree.jump) end

function M.probe() probes.choose() end

function M.restart() client.restart() end

-- How well the server sees, as lines.
function M.status_lines(status)
  local lines = {
    ('linnix-ls %s: %s'):format(text.plain(status.version, 20), text.plain(status.state, 20)),
  }
  local tracer = text.given(status.tracer)
  if tracer then table.insert(lines, 'tracer: ' .. text.plain(tracer, 40)) end
  if text.given(status.degraded) then
    table.insert(lines, 'degraded: ' .. text.plain(status.degraded, 500))
  end
  if text.given(status.fix) then
    table.insert(lines, 'to fix it: ' .. text.plain(status.fix, 500))
  end
  table.insert(lines, ('events: %d received, %d lost; %d processes'):format(
    status.events.received, status.events.lost, status.events.processes))
  table.insert(lines, ('findings: %d, running away: %d'):format(
    vim.tbl_count(client.findings), #client.running()))
  return lines
end

function M.status()
  client.request('linnix/status', nil, function(status, problem)
    if not status then return complain(problem or 'no status') end
    say(table.concat(M.status_lines(status), '\n'))
  end)
end

-- For 'statusline': a few words of our own, nothing that a process chose.
function M.statusline()
  if not client.is_running() then return '' end
  local n = #client.running()
  if n > 0 then return ('linnix: %d running away'):format(n) end
  local status = client.status
  if not status or status.state == 'loading' then return 'linnix: starting' end
  if status.state ~= 'watching' then return 'linnix: off' end
  return text.given(status.degraded) and 'linnix: degraded' or 'linnix'
end

return M

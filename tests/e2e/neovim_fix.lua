-- What a user does in Neovim about a storm: opens the file, runs its tests, gets a diagnostic, reads
-- the hover, has a fix tried, and applies it once it is verified. Runs in Neovim 0.7 and later.
--
-- Environment: TEST_COMMAND, SOURCE_FILE, OUTCOME (a file for what was seen, as JSON).

local story = dofile(vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':h') .. '/neovim_story.lua')
local seen, get_clients, finish, wait_for = story.seen, story.get_clients, story.finish, story.wait_for
seen.messages, seen.titles = {}, {}
story.patience_ms = 120000

vim.lsp.handlers['linnix/didChangeStatus'] = function(_, status) seen.status = status end
vim.lsp.handlers['window/showMessage'] = function(_, params)
  table.insert(seen.messages, params.message)
end

vim.cmd('edit ' .. vim.fn.fnameescape(vim.env.SOURCE_FILE))
local buffer = vim.api.nvim_get_current_buf()
wait_for('watching server', function() return seen.status and seen.status.state == 'watching' end)

vim.cmd('split | terminal ' .. vim.env.TEST_COMMAND)
local terminal = vim.api.nvim_get_current_buf()
vim.cmd('wincmd p')

wait_for('diagnostic', function() return #vim.diagnostic.get(buffer) > 0 end)
local diagnostic = vim.diagnostic.get(buffer)[1]
seen.diagnostic = diagnostic.message
wait_for('end of the tests', function()
  local lines = table.concat(vim.api.nvim_buf_get_lines(terminal, 0, -1, false), '\n')
  return lines:match('%[Process exited') ~= nil
end)

vim.api.nvim_win_set_cursor(0, { diagnostic.lnum + 1, 0 })
local client = get_clients()[1]
local position = vim.lsp.util.make_position_params(0, client.offset_encoding)
local hover = vim.lsp.buf_request_sync(buffer, 'textDocument/hover', position, story.patience_ms)
seen.hover = hover[client.id].result.contents.value

-- As `:lua vim.lsp.buf.code_action()` and the choice in its menu would.
local function choose(pattern)
  local params = vim.lsp.util.make_range_params(0, client.offset_encoding)
  params.context = { diagnostics = {} }
  local answers = vim.lsp.buf_request_sync(buffer, 'textDocument/codeAction', params, story.patience_ms)
  for _, action in ipairs(answers[client.id].result) do
    table.insert(seen.titles, action.title)
    if action.title:match(pattern) then return action end
  end
end

local try = choose('^Try this fix')
if not try then
  seen.failed = 'no fix to try'
  finish()
end
vim.lsp.buf_request(buffer, 'workspace/executeCommand', try.command,
  function(_, result) seen.result = result end)
wait_for('result of the trial', function() return seen.result ~= nil end)

local apply = choose('^Apply verified fix')
if not apply then
  seen.failed = 'no verified fix'
  finish()
end
vim.lsp.util.apply_workspace_edit(apply.edit, client.offset_encoding)
vim.cmd('silent write')
finish()

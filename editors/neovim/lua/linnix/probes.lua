-- Probe source (*.bpf.c): code lenses and values that are kept up to date, and what can be done.
--
-- The server says when they are to be asked for again; not here: what they say.

local client = require('linnix.client')
local text = require('linnix.text')

local M = {}

local ACTS = {
  { 'Run, or reload', 'run' },
  { 'Detach', 'detach' },
  { 'Roll back', 'rollBack' },
  { 'Show what it has seen', 'show' },
  { 'Diff against shipped', 'diff' },
  { 'Reset to shipped', 'reset' },
}

local function is_probe(buffer)
  return vim.api.nvim_buf_is_loaded(buffer)
    and vim.api.nvim_buf_get_name(buffer):match('%.bpf%.c$') ~= nil
end

-- Of the buffers that are seen: nothing is asked of the kernel for others.
local function refresh()
  for _, window in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    local buffer = vim.api.nvim_win_get_buf(window)
    -- Asked too early, Neovim 0.7 would wait for the answer for ever.
    if is_probe(buffer) and client.is_attached(buffer) then
      vim.api.nvim_buf_call(buffer, function() pcall(vim.lsp.codelens.refresh) end)
    end
  end
end

local function opened(buffer)
  if not is_probe(buffer) then return end
  if vim.lsp.inlay_hint then pcall(vim.lsp.inlay_hint.enable, true, { bufnr = buffer }) end
  refresh()
end

-- Everything is shown by the server, with messages and documents.
function M.act(name)
  local uri = vim.uri_from_bufnr(0)
  client.execute('linnix.playground.' .. name, { uri = uri }, function(_, problem)
    if problem then vim.notify('linnix: ' .. text.plain(problem), vim.log.levels.WARN) end
  end)
end

function M.choose()
  if not is_probe(0) then
    vim.notify('linnix: this is no probe; its name would end in .bpf.c')
    return
  end
  vim.ui.select(ACTS, {
    prompt = 'What about this probe?',
    format_item = function(each) return each[1] end,
  }, function(each)
    if each then M.act(each[2]) end
  end)
end

function M.setup()
  local group = vim.api.nvim_create_augroup('linnix_probes', {})
  vim.api.nvim_create_autocmd({ 'BufEnter', 'BufWritePost', 'InsertLeave', 'TabEnter' }, {
    group = group,
    pattern = '*.bpf.c',
    callback = function(event) opened(event.buf) end,
  })
  client.listen({ lenses = refresh })
end

return M

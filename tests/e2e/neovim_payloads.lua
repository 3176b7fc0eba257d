-- All that Neovim and the plugin show of findings whose every word is meant to harm, by where it is
-- shown. One is in each line of the file.
--
-- Environment: SERVER (a command, as JSON), N_FINDINGS, SOURCE_FILE, OUTCOME.

local story = dofile(vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':h') .. '/neovim_story.lua')
local seen, wait_for = story.seen, story.wait_for
local n_findings = tonumber(vim.env.N_FINDINGS)

require('linnix').setup({ cmd = vim.fn.json_decode(vim.env.SERVER) })
vim.cmd('edit ' .. vim.fn.fnameescape(vim.env.SOURCE_FILE))
local source = vim.api.nvim_get_current_buf()
wait_for('diagnostics', function() return #vim.diagnostic.get(source) == n_findings end)

local function lines() return vim.api.nvim_buf_get_lines(0, 0, -1, false) end

local function virtual_text(namespace)
  local texts = {}
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(source, namespace, 0, -1, { details = true })) do
    for _, chunk in ipairs(mark[4].virt_text or {}) do
      table.insert(texts, chunk[1])
    end
  end
  return texts
end

local function in_float(what, open)
  local before = #vim.api.nvim_list_wins()
  open()
  wait_for(what, function() return #vim.api.nvim_list_wins() > before end)
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(window).relative ~= '' then
      local shown = vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false)
      vim.api.nvim_win_close(window, true)
      return table.concat(shown, '\n')
    end
  end
end

seen.diagnostic = vim.tbl_map(function(each) return each.message end, vim.diagnostic.get(source))
seen.diagnostic_float, seen.hover, seen.explanation = {}, {}, {}
for n = 1, n_findings do
  vim.fn.cursor(n, 1)
  table.insert(seen.diagnostic_float, in_float('diagnostic', function()
    vim.diagnostic.open_float({ scope = 'line' })
  end))
  table.insert(seen.hover, in_float('hover', vim.lsp.buf.hover))
  vim.cmd('LinnixExplain')
  table.insert(seen.explanation, table.concat(lines(), '\n'))
  vim.cmd('close')
end
vim.diagnostic.config({ virtual_text = true })
vim.diagnostic.show()
seen.virtual_text = {}
for _, namespace in pairs(vim.api.nvim_get_namespaces()) do
  vim.list_extend(seen.virtual_text, virtual_text(namespace))
end
vim.diagnostic.setqflist({ open = false })
seen.quickfix = vim.tbl_map(function(each) return each.text end, vim.fn.getqflist())
vim.cmd('LinnixTree')
seen.tree = lines()
story.finish()

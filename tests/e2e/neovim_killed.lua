-- A Neovim that is shown a runaway of its own, and waits to be killed.
--
-- Environment: SERVER (a command, as JSON), SETTINGS (as JSON), WATCHED (a pid), SPIN (a command
-- that runs away), SOURCE_FILE, OUTCOME.

local story = dofile(vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':h') .. '/neovim_story.lua')
local seen, wait_for = story.seen, story.wait_for

local client = require('linnix.client')
require('linnix').setup({
  cmd = vim.fn.json_decode(vim.env.SERVER),
  settings = vim.fn.json_decode(vim.env.SETTINGS),
})
vim.cmd('edit ' .. vim.fn.fnameescape(vim.env.SOURCE_FILE))
wait_for('watching server', function() return client.status and client.status.state == 'watching' end)
local watched = { pid = tonumber(vim.env.WATCHED), label = 't' }
story.get_clients()[1].request('linnix/watch', watched, function() end)
-- In a session of its own: it outlives the terminal that goes with Neovim.
vim.fn.jobstart(vim.env.SPIN, { detach = true })
wait_for('diagnostic', function() return #vim.diagnostic.get(0) > 0 end)
wait_for('both findings', function() return vim.tbl_count(client.findings) == 2 end)
seen.is_shown = true
vim.fn.writefile({ vim.fn.json_encode(seen) }, vim.env.OUTCOME)

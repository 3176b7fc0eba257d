-- What the stories in Neovim have in common: what was seen, waiting, and the end. Runs in Neovim 0.7
-- and later.
--
-- Environment: OUTCOME (a file for what was seen, as JSON).

local story = {
  seen = {},
  patience_ms = 60000,
  get_clients = vim.lsp.get_clients or vim.lsp.get_active_clients,
}

function story.finish()
  vim.fn.writefile({ vim.fn.json_encode(story.seen) }, vim.env.OUTCOME)
  for _, client in ipairs(story.get_clients()) do
    vim.lsp.stop_client(client.id)
  end
  vim.wait(5000, function() return #story.get_clients() == 0 end, 20)
  vim.cmd('qall!')
end

function story.wait_for(what, condition)
  if not vim.wait(story.patience_ms, condition, 20) then
    story.seen.failed = 'no ' .. what
    story.finish()
  end
end

return story

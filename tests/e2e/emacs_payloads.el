;;; emacs_payloads.el --- What Emacs shows of hostile words  -*- lexical-binding: t -*-

;; All that eglot makes of findings whose every word is meant to harm, by where it is shown.  One is
;; in each line of the file.
;;
;; Environment: SERVER (a command, as JSON), N_FINDINGS, SOURCE_FILE, OUTCOME.

;;; Code:

(require 'cl-lib)
(require 'json)
(require 'eglot)
(require 'flymake)

(defun finish (seen)
  (with-temp-file (getenv "OUTCOME")
    (set-buffer-file-coding-system 'utf-8)
    (insert (json-encode seen)))
  (ignore-errors (eglot-shutdown (eglot-current-server)))
  (kill-emacs 0))

(defun wait-for (what condition)
  (let ((until (+ (float-time) 60)))
    (while (not (funcall condition))
      (when (> (float-time) until)
        (finish (list (cons 'failed (format "no %s" what)))))
      (accept-process-output nil 0.05))))

(setq eglot-sync-connect 30
      eglot-autoshutdown nil
      eglot-server-programs
      (list (cons 'text-mode (append (json-read-from-string (getenv "SERVER")) nil))))

(find-file (getenv "SOURCE_FILE"))
(text-mode)
(apply #'eglot (eglot--guess-contact))
(wait-for "server" #'eglot-current-server)
;; As Emacs does by itself once it is idle, which in batch mode it never is.
(flymake-start)
(wait-for "diagnostics"
          (lambda ()
            (= (length (flymake-diagnostics)) (string-to-number (getenv "N_FINDINGS")))))

(let (diagnostics hovers)
  (dolist (each (flymake-diagnostics))
    (push (flymake-diagnostic-text each) diagnostics)
    (goto-char (flymake-diagnostic-beg each))
    (let ((hover (jsonrpc-request (eglot-current-server) :textDocument/hover
                                  (eglot--TextDocumentPositionParams) :timeout 30)))
      (push (substring-no-properties
             (eglot--hover-info (plist-get hover :contents) (plist-get hover :range)))
            hovers)))
  (finish (list (cons 'diagnostic (vconcat diagnostics))
                (cons 'hover (vconcat hovers)))))

;;; emacs_payloads.el ends here

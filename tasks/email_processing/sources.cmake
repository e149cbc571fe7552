# The tasks of the queue email_processing, in celeriac_invoices.
target_sources(celeriac_invoices PRIVATE
  email_processing/email_rules.cpp email_processing/email_writer.cpp email_processing/gmail_mailbox.cpp
  email_processing/gmail_message.cpp email_processing/imap_mailbox.cpp email_processing/mailbox.cpp
  email_processing/oauth.cpp email_processing/poll_mailbox.cpp email_processing/quota.cpp
  email_processing/register.cpp)
target_link_libraries(celeriac_invoices PRIVATE PkgConfig::hiredis)

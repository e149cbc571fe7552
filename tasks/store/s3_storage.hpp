// Documents in a bucket of S3 or of a server that speaks its language.
#pragma once

#include "tasks/store/storage.hpp"

#include <memory>
#include <string>

namespace celeriac {

// "s3+https://key:secret@host[:port]/bucket[/prefix]?region=eu-central-1"; s3+http:// within a network of
// one's own. Without key and secret AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are taken. The bucket must
// exist. Each request is signed with the digest of what it carries, so the server refuses what was damaged on
// its way; objects above 10 MB are sent in parts and exist only when all have arrived. Throws StorageError
// (refused) without showing a secret.
std::unique_ptr<Storage> make_s3_storage(const std::string& url);

}  // namespace celeriac

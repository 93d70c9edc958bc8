"""Names of fields that Comet is known to send beyond those of the declared forms, which a mount does not look at."""

_WORDS = """
_id alias archived artifactId artifactName artifactVersion artifactVersionId artifactType audio canView code codeSHA
compressedAssetLink cometDownloadVersion createdFrom curlDownload data duration editable emoji
end_server_timestamp error etag experimentKey figName file_name file_path fileName hasHtml hasImages hasNotes
histogram image installed_packages isPublic items last_message_time lastUpdated link logMsg message metadata msg
optimizationId params path project public registryRecords remote runActive runId s3Link sdk_error_code
server_timestamp sizeInBytes start_server_timestamp state status tags timestamp user_name version versionId
versions video workspace workspaceId workspaceName
"""

FURTHER = frozenset(_WORDS.split())

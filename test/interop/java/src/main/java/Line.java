import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Map;

import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** One line of JSON per message, the same from every client; README.md lists the fields. */
final class Line implements AutoCloseable {
    private final BufferedWriter out;

    Line(String file) throws IOException {
        out = Files.newBufferedWriter(Path.of(file), StandardCharsets.UTF_8);
    }

    /** Writes at once: the suite follows the file while the client runs. */
    synchronized void write(Map<String, ?> fields) {
        try {
            out.write(json(fields));
            out.write('\n');
            out.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        out.close();
    }

    static Map<String, Object> sent(Message message, byte[] body, String id, String offsetId, int queue, long offset) {
        Map<String, Object> fields = of(message, body);
        fields.put("id", id);
        if (offsetId != null) {
            fields.put("offsetId", offsetId);
        }
        fields.put("queue", queue);
        fields.put("offset", offset);
        return fields;
    }

    static Map<String, Object> received(MessageExt message) {
        Map<String, Object> fields = of(message, message.getBody());
        fields.put("id", message.getMsgId());
        fields.put("queue", message.getQueueId());
        fields.put("offset", message.getQueueOffset());
        fields.put("storedAt", message.getStoreTimestamp());
        fields.put("attempt", message.getReconsumeTimes());
        return fields;
    }

    private static Map<String, Object> of(Message message, byte[] body) {
        Map<String, Object> fields = new java.util.LinkedHashMap<>();
        fields.put("hash", sha256(body));
        fields.put("tags", String.valueOf(message.getTags()));
        fields.put("keys", String.valueOf(message.getKeys()));
        fields.put("shade", String.valueOf(message.getUserProperty("shade")));
        return fields;
    }

    static String json(Map<String, ?> fields) {
        StringBuilder text = new StringBuilder("{");
        for (Map.Entry<String, ?> field : fields.entrySet()) {
            text.append(text.length() > 1 ? "," : "").append('"').append(field.getKey()).append("\":");
            Object value = field.getValue();
            text.append(value instanceof String ? quote((String) value) : String.valueOf(value));
        }
        return text.append('}').toString();
    }

    static String quote(String value) {
        StringBuilder text = new StringBuilder("\"");
        for (char c : value.toCharArray()) {
            if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else if (c < ' ') {
                text.append(String.format("\\u%04x", (int) c));
            } else {
                text.append(c);
            }
        }
        return text.append('"').toString();
    }

    private static String sha256(byte[] body) {
        try {
            StringBuilder text = new StringBuilder();
            for (byte b : MessageDigest.getInstance("SHA-256").digest(body)) {
                text.append(String.format("%02x", b));
            }
            return text.toString();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}

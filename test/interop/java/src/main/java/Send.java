import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;

/** Send NAMESRV TOPIC GROUP COUNT OUT: synchronous and asynchronous sends, and one batch; see README.md. */
public final class Send {
    private static final int IN_FLIGHT_MAX = 256;
    private static final int BATCH = 100;
    private static final String[] TAGS = {"alpha", "beta", "gamma", "delta"};
    private final Random random = new Random(42);
    private final String topic;
    private final DefaultMQProducer producer;
    private final Line out;
    private int number;

    private Send(String topic, DefaultMQProducer producer, Line out) {
        this.topic = topic;
        this.producer = producer;
        this.out = out;
    }

    public static void main(String[] args) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(args[2]);
        producer.setNamesrvAddr(args[0]);
        producer.setSendMsgTimeout(20_000);
        producer.start();
        try (Line out = new Line(args[4])) {
            Send send = new Send(args[1], producer, out);
            send.probeUntilTold();
            send.sendAll(Integer.parseInt(args[3]));
        } finally {
            producer.shutdown();
        }
        System.out.println("sent");
        System.exit(0);
    }

    /** A few messages now and then, so that the suite can see when every consumer has its queues. */
    private void probeUntilTold() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (!in.ready()) {
            for (int i = 0; i < 8; i++) {
                sendOne(message());
            }
            Thread.sleep(200);
        }
    }

    private void sendAll(int count) throws Exception {
        Semaphore inFlight = new Semaphore(IN_FLIGHT_MAX);
        AtomicReference<Throwable> failed = new AtomicReference<>();
        int batch = Math.min(BATCH, count);
        for (int i = 0; i < count - batch && failed.get() == null; i++) {
            if (i % 3 == 0) {
                sendOne(message());
            } else {
                inFlight.acquire();
                sendAsync(message(), inFlight, failed);
            }
        }
        if (!inFlight.tryAcquire(IN_FLIGHT_MAX, 60, TimeUnit.SECONDS) || failed.get() != null) {
            throw new IllegalStateException("asynchronous send failed", failed.get());
        }
        sendBatch(batch);
    }

    private void sendOne(Message message) throws Exception {
        byte[] body = message.getBody();
        written(message, body, producer.send(message));
    }

    private void sendAsync(Message message, Semaphore inFlight, AtomicReference<Throwable> failed) throws Exception {
        byte[] body = message.getBody();
        producer.send(message, new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                written(message, body, result);
                inFlight.release();
            }

            @Override
            public void onException(Throwable e) {
                failed.set(e);
                inFlight.release();
            }
        });
    }

    private void sendBatch(int count) throws Exception {
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            messages.add(message());
        }
        SendResult result = producer.send(messages);
        String[] ids = result.getMsgId().split(",");
        String[] offsetIds = result.getOffsetMsgId().split(",");
        if (ids.length != count || offsetIds.length != count) {
            throw new IllegalStateException("a batch of " + count + " was answered with " + result);
        }
        for (int i = 0; i < count; i++) {
            Message message = messages.get(i);
            out.write(Line.sent(message, message.getBody(), ids[i], offsetIds[i],
                result.getMessageQueue().getQueueId(), result.getQueueOffset() + i));
        }
    }

    private void written(Message message, byte[] body, SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException("not SEND_OK: " + result);
        }
        out.write(Line.sent(message, body, result.getMsgId(), result.getOffsetMsgId(),
            result.getMessageQueue().getQueueId(), result.getQueueOffset()));
    }

    /** Every 50th body is long and repetitive: over 4 KiB the client compresses it. */
    private Message message() {
        int i = number++;
        byte[] body;
        if (i % 50 == 7) {
            body = ("long message " + i + "; ").repeat(300 + random.nextInt(700)).getBytes(StandardCharsets.UTF_8);
        } else {
            body = new byte[16 + random.nextInt(1000)];
            random.nextBytes(body);
        }
        Message message = new Message(topic, TAGS[i % TAGS.length], "key-" + i + " pair-" + i / 2, body);
        message.putUserProperty("shade", "shade of " + i % 7);
        return message;
    }
}

import java.util.List;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/**
 * Consume NAMESRV TOPIC GROUP INSTANCE TAGS MODE OUT: a push consumer until its standard input ends; see README.md.
 * MODE: concurrent, orderly, broadcast, or reject (the first delivery of every message is refused).
 */
public final class Consume {
    public static void main(String[] args) throws Exception {
        String mode = args[5];
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(args[2]);
        consumer.setNamesrvAddr(args[0]);
        consumer.setInstanceName(args[3]);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPollNameServerInterval(2_000); // so that a new retry topic is seen soon
        consumer.subscribe(args[1], args[4]);
        if (mode.equals("broadcast")) {
            consumer.setMessageModel(MessageModel.BROADCASTING);
        }
        try (Line out = new Line(args[6])) {
            if (mode.equals("orderly")) {
                consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                    write(out, messages);
                    return ConsumeOrderlyStatus.SUCCESS;
                });
            } else {
                consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                    write(out, messages);
                    boolean refuse = mode.equals("reject") && messages.get(0).getReconsumeTimes() == 0;
                    return refuse ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                });
            }
            consumer.start();
            System.out.println("ready");
            while (System.in.read() != -1) {
                // Only the end of the input matters.
            }
            consumer.shutdown();
        }
        System.exit(0);
    }

    private static void write(Line out, List<MessageExt> messages) {
        for (MessageExt message : messages) {
            out.write(Line.received(message));
        }
    }
}
